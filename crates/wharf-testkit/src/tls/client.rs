//! [`Client`]: how a client of TLS is made; it is rustls.

use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Authority, Identity};

/// Versions of TLS that a client speaks.
pub type Versions = &'static [&'static SupportedProtocolVersion];

/// TLS 1.2 alone.
pub const TLS12: Versions = &[&rustls::version::TLS12];
/// TLS 1.3 alone.
pub const TLS13: Versions = &[&rustls::version::TLS13];

/// How a client is made.
#[derive(Debug)]
pub struct Client {
    root: CertificateDer<'static>,
    identity: Option<Identity>,
    provider: CryptoProvider,
    versions: Versions,
    alpn: Vec<Vec<u8>>,
}

impl Client {
    /// One that trusts this CA, shows nothing, and speaks all versions.
    pub fn of(ca: &Authority) -> Self {
        Self::trusting(ca.der().into())
    }

    /// The same, with the certificate that it trusts.
    pub fn trusting(root: CertificateDer<'static>) -> Self {
        Self {
            root,
            identity: None,
            provider: aws_lc_rs::default_provider(),
            versions: rustls::ALL_VERSIONS,
            alpn: vec![],
        }
    }

    /// It speaks these versions.
    #[must_use]
    pub fn versions(self, versions: Versions) -> Self {
        Self { versions, ..self }
    }

    /// It has these primitives.
    #[must_use]
    pub fn provider(self, provider: CryptoProvider) -> Self {
        Self { provider, ..self }
    }

    /// It offers these protocols.
    #[must_use]
    pub fn alpn(self, alpn: &[&str]) -> Self {
        let alpn = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self { alpn, ..self }
    }

    /// It shows this certificate to who asks for one.
    #[must_use]
    pub fn identity(self, identity: &Identity) -> Self {
        let identity = Some(identity.clone());
        Self { identity, ..self }
    }

    /// The client; asked again, it has no memory of sessions.
    pub fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a certificate");
        let provider = Arc::new(self.provider.clone());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .expect("the primitives are for these versions")
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.clone()));
                let chain = vec![identity.certificate.clone().into()];
                let builder = builder.with_client_auth_cert(chain, key);
                builder.expect("the key is the certificate's")
            }
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Arc::new(config)
    }
}

/// A handshake over these bytes with the server of that name.
///
/// # Errors
///
/// The server refuses the client, or the client the server.
pub async fn connect<T>(config: &Arc<ClientConfig>, name: &str, io: T) -> io::Result<TlsStream<T>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(name, io).await
}
