//! [`HandshakeError`]: why a handshake came to nothing.

use std::io;

use rustls::PeerIncompatible;

use super::facts::cut;

/// Why a handshake came to nothing, in words for a log and, by [`as_str`](Self::as_str), in a closed
/// set for a metric. What the peer has a part in is at most 256 bytes, and to be escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer left without a byte, as health checks do.
    #[error("the peer left without a byte")]
    Silent,
    /// The peer left in the middle.
    #[error("the peer left in the middle of the handshake")]
    Closed,
    /// The peer speaks HTTP without TLS. It was told so with a 400.
    #[error("the peer speaks plain HTTP: it wants http:// or this port wants https://")]
    PlainHttp,
    /// The first byte is not that of a handshake.
    #[error("the peer does not speak TLS")]
    NotTls,
    /// The first message is larger than 16 KiB.
    #[error("the ClientHello is larger than 16 KiB")]
    HelloTooLarge,
    /// So many other handshakes went on that this one had no turn for too long.
    #[error("other handshakes kept this one waiting for too long")]
    Crowded,
    /// The client has broken off, for this reason.
    #[error("the client broke off: {0}")]
    Alert(&'static str),
    /// The client speaks none of our application protocols (ALPN).
    #[error("no application protocol (ALPN) in common")]
    NoCommonProtocol,
    /// The client speaks neither TLS 1.2 nor 1.3.
    #[error("no TLS version in common: 1.2 and 1.3 are spoken here")]
    NoCommonVersion,
    /// No cipher suite, key exchange or signature that both sides know.
    #[error("no {0} in common")]
    NoCommonCipher(&'static str),
    /// The client has shown no certificate, and one is required.
    #[error("the client has shown no certificate")]
    ClientCertificateRequired,
    /// The client's certificate is not believed.
    #[error("the client's certificate is not accepted: {0}")]
    ClientCertificate(String),
    /// The client broke the rules of TLS.
    #[error("{0}")]
    Protocol(String),
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Io(io::ErrorKind),
}

impl HandshakeError {
    /// The reason as a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Closed => "closed",
            Self::PlainHttp => "plain_http",
            Self::NotTls => "not_tls",
            Self::HelloTooLarge => "hello_too_large",
            Self::Crowded => "crowded",
            Self::Alert(_) => "alert",
            Self::NoCommonProtocol => "no_common_protocol",
            Self::NoCommonVersion => "no_common_version",
            Self::NoCommonCipher(_) => "no_common_cipher",
            Self::ClientCertificateRequired => "client_certificate_required",
            Self::ClientCertificate(_) => "client_certificate",
            Self::Protocol(_) => "protocol",
            Self::Io(_) => "io",
        }
    }

    /// What the TLS library says, in our words.
    pub(super) fn of(error: &rustls::Error) -> Self {
        use rustls::Error;
        if let Error::AlertReceived(alert) = error {
            return Self::Alert(alert.as_str().unwrap_or("an unknown alert"));
        }
        if let Error::InvalidCertificate(why) = error {
            return Self::ClientCertificate(cut(why.to_string()));
        }
        if let Error::PeerIncompatible(why) = error {
            return Self::incompatible(why)
                .unwrap_or_else(|| Self::Protocol(cut(error.to_string())));
        }
        if *error == Error::NoApplicationProtocol {
            return Self::NoCommonProtocol;
        }
        if *error == Error::NoCertificatesPresented {
            return Self::ClientCertificateRequired;
        }
        Self::Protocol(cut(error.to_string()))
    }

    /// What came through the IO traits: the library's errors are inside.
    pub(super) fn of_io(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|it| it.downcast_ref());
        match (inner, error.kind()) {
            (Some(inner), _) => Self::of(inner),
            (None, io::ErrorKind::UnexpectedEof) => Self::Closed,
            (None, kind) => Self::Io(kind),
        }
    }

    fn incompatible(why: &PeerIncompatible) -> Option<Self> {
        use PeerIncompatible as Why;
        let version = [
            Why::ServerDoesNotSupportTls12Or13,
            Why::ServerTlsVersionIsDisabledByOurConfig,
            Why::SupportedVersionsExtensionRequired,
            Why::Tls12NotOffered,
            Why::Tls12NotOfferedOrEnabled,
        ];
        if version.contains(why) {
            return Some(Self::NoCommonVersion);
        }
        let cipher = [
            (Why::NoCipherSuitesInCommon, "cipher suite"),
            (Why::NoKxGroupsInCommon, "key exchange group"),
            (Why::NamedGroupsExtensionRequired, "key exchange group"),
            (Why::NoSignatureSchemesInCommon, "signature scheme"),
            (
                Why::SignatureAlgorithmsExtensionRequired,
                "signature scheme",
            ),
        ];
        cipher
            .into_iter()
            .find(|(known, _)| known == why)
            .map(|(_, what)| Self::NoCommonCipher(what))
    }
}
