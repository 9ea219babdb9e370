//! A load of TLS handshakes: each client connects, shakes hands, asks once, and is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::closed::{Closed, Exchange};
use super::tool::Said;
use crate::peers::ANSWER;
use crate::protocol::Protocol;
use crate::site::{NAME, Site};

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Sessions that a client remembers: it has one server.
const SESSIONS: usize = 8;

/// Makes the load.
pub(super) fn make(
    site: &Site,
    resumed: bool,
    clients: u32,
    lasting: Duration,
    at: SocketAddr,
) -> Result<Said> {
    Closed::runtime()?.block_on(async {
        let mut all = Vec::new();
        for _ in 0..clients {
            let mut client = Client::new(site, resumed, at)?;
            // There is nothing to resume yet.
            ensure!(client.connect().await? == HandshakeKind::Full);
            all.push(client);
        }
        Closed::new(lasting).make(all).await
    })
}

/// One handshake and one answer.
pub(super) fn check(site: &Site, at: SocketAddr) -> Result<()> {
    Closed::once(async { Client::new(site, false, at) })
}

/// Who connects, again and again, and remembers the session if it is to be resumed.
struct Client {
    at: SocketAddr,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    wanted: HandshakeKind,
}

impl Client {
    fn new(site: &Site, resumed: bool, at: SocketAddr) -> Result<Self> {
        let mut config = ClientConfig::clone(&*site.client(Protocol::Https)?);
        if resumed {
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
        }
        Ok(Self {
            at,
            name: ServerName::try_from(NAME)?,
            config: Arc::new(config),
            wanted: if resumed {
                HandshakeKind::Resumed
            } else {
                HandshakeKind::Full
            },
        })
    }

    /// Once; how hands were shaken.
    async fn connect(&mut self) -> Result<HandshakeKind> {
        let stream = TcpStream::connect(self.at).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let mut stream = connector.connect(self.name.clone(), stream).await?;
        stream.write_all(REQUEST).await?;
        stream.flush().await?;
        let mut answer = Vec::with_capacity(1024);
        // The server closes first, and not all say so in TLS before they do.
        let read = stream.read_to_end(&mut answer).await;
        ensure!(
            answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(ANSWER),
            "another answer, {read:?}: {}",
            String::from_utf8_lossy(&answer)
        );
        let kind = stream.get_ref().1.handshake_kind();
        Ok(kind.unwrap_or(HandshakeKind::Full))
    }
}

impl Exchange for Client {
    async fn exchange(&mut self) -> Result<()> {
        let kind = self.connect().await?;
        ensure!(kind == self.wanted, "{kind:?} and not {:?}", self.wanted);
        Ok(())
    }
}
