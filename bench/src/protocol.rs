//! [`Protocol`]: what is spoken with a peer.

use clap::ValueEnum;

/// What is spoken with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Http1,
    Https,
    Http2,
    #[value(name = "http2-tls")]
    Http2Tls,
}

impl Protocol {
    pub(crate) const ALL: [Self; 4] = [Self::Http1, Self::Https, Self::Http2, Self::Http2Tls];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1",
            Self::Https => "HTTPS",
            Self::Http2 => "HTTP/2",
            Self::Http2Tls => "HTTP/2 over TLS",
        }
    }

    pub(crate) const fn is_secured(self) -> bool {
        matches!(self, Self::Https | Self::Http2Tls)
    }

    pub(crate) const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Tls)
    }
}
