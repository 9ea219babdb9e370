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

use rustls::ClientConfig;
use rustls::pki_types::UnixTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::client;
use wharf_testkit::certificates::{Authority, Identity};
use wharf_testkit::tls::{Client, TLS12, TLS13, connect};

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

pub(super) type ServerEnd = Result<Handshaken<DuplexStream>, Refused<DuplexStream>>;
pub(super) type ClientEnd = io::Result<client::TlsStream<DuplexStream>>;

/// A handshake in memory, whatever comes of it on both sides.
pub(super) async fn meet(
    acceptor: &Acceptor,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (ServerEnd, ClientEnd) {
    let (near, far) = duplex(256 * 1024);
    let server = acceptor.accept(near, Vec::new());
    tokio::join!(server, connect(client, name, far))
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
