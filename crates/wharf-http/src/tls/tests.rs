//! What the tests of TLS share: a listener's side in memory, and rustls as the client.

mod certificate;
mod certificates;
mod client_auth;
mod handshake;
mod handshakes;
mod hostile;
mod resumption;
mod stream;

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::client;
use wharf_testkit::certificates::{Authority, Identity};

use super::*;

/// What the client's own checks will say the time is.
pub(super) fn now() -> UtcTime {
    UtcTime::from_unix_seconds(UnixTime::now().as_secs().try_into().unwrap())
}

pub(super) fn certificate(identity: &Identity) -> Certificate {
    let (chain, key) = (identity.certificate_pem(), identity.key_pem());
    Certificate::from_pem(chain.as_bytes(), key.as_bytes(), now()).unwrap()
}

/// An acceptor for `localhost`, which speaks what `alpn` says.
pub(super) fn acceptor(ca: &Authority, alpn: &[Alpn]) -> Acceptor {
    acceptor_of(
        &Certificates::new(certificate(&ca.server(&["localhost"])), vec![]),
        alpn,
    )
}

pub(super) fn acceptor_of(certificates: &Certificates, alpn: &[Alpn]) -> Acceptor {
    let handshakes = Handshakes::default();
    Acceptor::new(certificates, alpn.to_vec(), ClientAuth::Off, &handshakes).unwrap()
}

/// Versions of TLS that a client speaks.
pub(super) type Versions = &'static [&'static SupportedProtocolVersion];

pub(super) const TLS12: Versions = &[&rustls::version::TLS12];
pub(super) const TLS13: Versions = &[&rustls::version::TLS13];

/// How a client is made.
pub(super) struct Client {
    ca: CertificateDer<'static>,
    identity: Option<Identity>,
    versions: Versions,
    alpn: Vec<&'static str>,
}

impl Client {
    pub(super) fn of(ca: &Authority) -> Self {
        Self {
            ca: ca.der().into(),
            identity: None,
            versions: rustls::ALL_VERSIONS,
            alpn: vec![],
        }
    }

    pub(super) fn versions(self, versions: Versions) -> Self {
        Self { versions, ..self }
    }

    pub(super) fn alpn(self, alpn: &[&'static str]) -> Self {
        Self {
            alpn: alpn.to_vec(),
            ..self
        }
    }

    pub(super) fn identity(self, identity: &Identity) -> Self {
        Self {
            identity: Some(identity.clone()),
            ..self
        }
    }

    /// The client; asked again, it has no memory of sessions.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(Identity {
                certificate, key, ..
            }) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.clone()));
                builder
                    .with_client_auth_cert(vec![certificate.clone().into()], key)
                    .unwrap()
            }
        };
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }
}

pub(super) type ServerEnd = Result<Handshaken<DuplexStream>, Refused<DuplexStream>>;
pub(super) type ClientEnd = io::Result<client::TlsStream<DuplexStream>>;

/// A handshake in memory, whatever comes of it on both sides.
pub(super) async fn meet(
    acceptor: &Acceptor,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (ServerEnd, ClientEnd) {
    let (near, far) = duplex(256 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(client));
    let server = acceptor.accept(near, Vec::new());
    tokio::join!(server, connector.connect(name, far))
}

/// A handshake in memory that succeeds, and a byte each way, so that the client has its tickets.
pub(super) async fn talk(
    acceptor: &Acceptor,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (TlsInfo, client::TlsStream<DuplexStream>) {
    let (server, client) = meet(acceptor, client, name).await;
    let (mut server, mut client) = (server.unwrap(), client.unwrap());
    client.write_all(b"?").await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(server.stream.read_u8().await.unwrap(), b'?');
    server.stream.write_all(b"!").await.unwrap();
    server.stream.flush().await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'!');
    (server.info, client)
}

/// What the client was told, where its handshake has failed or its first read does.
pub(super) async fn told(client: ClientEnd) -> rustls::Error {
    let error = match client {
        Err(error) => error,
        // In TLS 1.3 a client is done before its certificate is looked at.
        Ok(mut stream) => stream.read_u8().await.unwrap_err(),
    };
    let error = error.get_ref().expect("an error of TLS");
    error.downcast_ref::<rustls::Error>().unwrap().clone()
}
