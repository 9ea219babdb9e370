//! [`Protocol`]: the names of what a connection can speak.

use std::fmt;
use std::str::FromStr;

/// What a connection can speak; a listener has one pool for each that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/1.1 over plain TCP.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// HTTP/2, over TLS or with prior knowledge.
    Http2,
    /// gRPC, over HTTP/2.
    Grpc,
    /// WebSocket.
    WebSocket,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 5] = [
        Self::Http,
        Self::Https,
        Self::Http2,
        Self::Grpc,
        Self::WebSocket,
    ];

    /// The word in configuration and in the names of pools.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.as_str() == text)
            .ok_or_else(|| UnknownProtocol(text.to_owned()))
    }
}

/// A word that names no protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no protocol: write \"http\", \"https\", \"http2\", \"grpc\" or \"websocket\"")]
pub struct UnknownProtocol(String);
