//! [`TlsInfo`]: what a handshake has agreed on.

use rustls::{CipherSuite, HandshakeKind, ProtocolVersion, ServerConnection};

use super::Alpn;
use super::facts;

/// What a handshake has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite, by the name of its RFC.
    pub cipher: &'static str,
    /// The name that the client wished for (SNI), in lower case. A peer has sent it.
    pub server_name: Option<Box<str>>,
    /// The application protocol; `None` if the client offered none, and speaks HTTP/1.
    pub alpn: Option<Alpn>,
    /// Whether it continues a session from before.
    pub resumed: bool,
    /// Whom the client's certificate was issued to, if it has shown one: its subject, or its first
    /// alternative name. At most 256 bytes.
    pub client: Option<Box<str>>,
}

impl TlsInfo {
    pub(super) fn of(session: &ServerConnection) -> Self {
        let client = session.peer_certificates().and_then(<[_]>::first);
        Self {
            version: version(session.protocol_version()),
            cipher: session
                .negotiated_cipher_suite()
                .map_or("unknown", |suite| cipher(suite.suite())),
            server_name: session.server_name().map(Into::into),
            alpn: session.alpn_protocol().and_then(Alpn::from_wire),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            client: client.and_then(|certificate| facts::subject(certificate)),
        }
    }
}

fn version(version: Option<ProtocolVersion>) -> &'static str {
    if version == Some(ProtocolVersion::TLSv1_3) {
        "TLSv1.3"
    } else {
        "TLSv1.2"
    }
}

/// The library puts the version into the names of TLS 1.3's suites.
fn cipher(suite: CipherSuite) -> &'static str {
    let names = [
        (
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            "TLS_AES_128_GCM_SHA256",
        ),
        (
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            "TLS_AES_256_GCM_SHA384",
        ),
        (
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
    ];
    let known = names.into_iter().find(|(known, _)| *known == suite);
    known.map_or_else(|| suite.as_str().unwrap_or("unknown"), |(_, name)| name)
}
