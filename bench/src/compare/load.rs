//! [`Load`]: what is asked of a server, by how many connections.

use crate::protocol::Protocol;
use crate::work::Work;

/// What is asked of a server, again as soon as it is answered.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// How it is called on the command line.
    pub(super) name: &'static str,
    /// How it is called in the report, without its connections.
    pub(super) kind: &'static str,
    pub(super) protocol: Protocol,
    pub(super) work: Work,
    pub(super) connections: u32,
    /// Requests in flight on each connection.
    pub(super) streams: u32,
    /// A connection ends with its first answer, and another begins.
    pub(super) fresh: bool,
}

impl Load {
    /// How it is called in the report.
    pub(super) fn title(&self) -> String {
        let connections = commas(self.connections);
        let kind = self.kind;
        match self.streams {
            1 if self.fresh => format!("{kind}, {connections} at once"),
            1 => format!("{kind}, {connections} connections"),
            streams => format!("{kind}, {connections} connections with {streams} streams"),
        }
    }
}

fn commas(number: u32) -> String {
    match number.checked_div(1000) {
        Some(thousands @ 1..) => format!("{thousands},{:03}", number % 1000),
        _ => number.to_string(),
    }
}

const KEPT: Load = Load {
    name: "http1",
    kind: "HTTP/1",
    protocol: Protocol::Http1,
    work: Work::Hello,
    connections: 64,
    streams: 1,
    fresh: false,
};

const MULTIPLEXED: Load = Load {
    name: "http2",
    kind: "HTTP/2",
    protocol: Protocol::Http2,
    connections: 16,
    streams: 32,
    ..KEPT
};

const ECHO: Load = Load {
    name: "echo",
    kind: "WebSocket, messages of 13 bytes",
    work: Work::Echo(13),
    ..KEPT
};

const HANDSHAKE: Load = Load {
    name: "handshake",
    kind: "A TLS handshake in full and one request",
    protocol: Protocol::Https,
    work: Work::Handshake { resumed: false },
    connections: 16,
    fresh: true,
    ..KEPT
};

const LARGE: Load = Load {
    name: "download",
    kind: "1 MiB down",
    work: Work::Download,
    connections: 16,
    ..KEPT
};

/// All of them.
pub(super) const ALL: [Load; 16] = [
    KEPT,
    Load {
        name: "http1-256",
        connections: 256,
        ..KEPT
    },
    Load {
        name: "http1-1024",
        connections: 1024,
        ..KEPT
    },
    Load {
        name: "fresh",
        kind: "HTTP/1, a new connection for each request",
        fresh: true,
        ..KEPT
    },
    Load {
        name: "https",
        kind: "HTTPS",
        protocol: Protocol::Https,
        ..KEPT
    },
    MULTIPLEXED,
    Load {
        name: "http2-tls",
        kind: "HTTP/2 over TLS",
        protocol: Protocol::Http2Tls,
        ..MULTIPLEXED
    },
    HANDSHAKE,
    Load {
        name: "resumed",
        kind: "A TLS session resumed and one request",
        work: Work::Handshake { resumed: true },
        ..HANDSHAKE
    },
    LARGE,
    Load {
        name: "upload",
        kind: "1 MiB up",
        work: Work::Upload,
        ..LARGE
    },
    Load {
        name: "grpc",
        kind: "gRPC, calls with one message each way",
        work: Work::Call,
        ..MULTIPLEXED
    },
    Load {
        name: "grpc-replies",
        kind: "gRPC, messages of calls with 100 replies",
        work: Work::Replies,
        streams: 8,
        ..MULTIPLEXED
    },
    ECHO,
    Load {
        name: "echo-16k",
        kind: "WebSocket, messages of 16 KiB",
        work: Work::Echo(16 << 10),
        ..ECHO
    },
    Load {
        name: "echo-64k",
        kind: "WebSocket, messages of 64 KiB",
        work: Work::Echo(64 << 10),
        ..ECHO
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_how_many_connections() {
        let titles = [&KEPT, &MULTIPLEXED, &HANDSHAKE].map(Load::title);
        assert_eq!(titles[0], "HTTP/1, 64 connections");
        assert_eq!(titles[1], "HTTP/2, 16 connections with 32 streams");
        assert_eq!(
            titles[2],
            "A TLS handshake in full and one request, 16 at once"
        );
        let more = Load {
            connections: 15_000,
            ..KEPT
        };
        assert_eq!(more.title(), "HTTP/1, 15,000 connections");
    }
}
