//! [`Load`]: what is asked of a server, by how many connections.

use crate::protocol::Protocol;

/// What is asked of a server: `GET /hello`, again as soon as it is answered.
pub(super) struct Load {
    /// How it is called on the command line.
    pub(super) name: &'static str,
    /// How it is called in the report.
    pub(super) title: &'static str,
    pub(super) protocol: Protocol,
    pub(super) connections: u32,
    /// Requests in flight on each connection.
    pub(super) streams: u32,
    /// A connection ends with its first answer, and another begins.
    pub(super) fresh: bool,
}

const KEPT: Load = Load {
    name: "http1",
    title: "HTTP/1, 64 connections",
    protocol: Protocol::Http1,
    connections: 64,
    streams: 1,
    fresh: false,
};

/// All of them.
pub(super) const ALL: [Load; 7] = [
    KEPT,
    Load {
        name: "http1-256",
        title: "HTTP/1, 256 connections",
        connections: 256,
        ..KEPT
    },
    Load {
        name: "http1-1024",
        title: "HTTP/1, 1,024 connections",
        connections: 1024,
        ..KEPT
    },
    Load {
        name: "fresh",
        title: "HTTP/1, a new connection for each request",
        fresh: true,
        ..KEPT
    },
    Load {
        name: "https",
        title: "HTTPS, 64 connections",
        protocol: Protocol::Https,
        ..KEPT
    },
    Load {
        name: "http2",
        title: "HTTP/2, 16 connections with 32 streams",
        protocol: Protocol::Http2,
        connections: 16,
        streams: 32,
        ..KEPT
    },
    Load {
        name: "http2-tls",
        title: "HTTP/2 over TLS, 16 connections with 32 streams",
        protocol: Protocol::Http2Tls,
        connections: 16,
        streams: 32,
        ..KEPT
    },
];
