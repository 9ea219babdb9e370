//! [`Spoken`]: what a request is, and what is spoken to whom.

use crate::protocol::Protocol;

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// HTTP/1 to the gateway, and from it.
    Http1,
    /// HTTP/2 to the gateway, HTTP/1 from it.
    Http2,
    /// A call of gRPC: HTTP/2 to the gateway, and from it.
    Grpc,
}

impl Spoken {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1",
            Self::Http2 => "HTTP/2",
            Self::Grpc => "gRPC",
        }
    }

    /// What is spoken with the gateway.
    pub(crate) const fn protocol(self) -> Protocol {
        match self {
            Self::Http1 => Protocol::Http1,
            Self::Http2 | Self::Grpc => Protocol::Http2,
        }
    }

    /// Whether the servers behind speak HTTP/2.
    pub(crate) const fn is_http2_behind(self) -> bool {
        matches!(self, Self::Grpc)
    }
}
