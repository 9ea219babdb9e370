//! [`Connector`]: from the address of an endpoint to bytes that go both ways.

mod race;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wharf_pool::{Charge, CloseReason, Endpoints, Pool, Slot, Tracked};

use crate::address::{EndpointAddress, Scheme};
use crate::connection::UpstreamConnection;
use crate::transport::Transport;

/// Why no connection could be made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name has no address.
    #[error("the name could not be looked up")]
    Resolve(#[source] Arc<io::Error>),
    /// Nobody listens there.
    #[error("nobody listens there")]
    Refused(#[source] Arc<io::Error>),
    /// It took longer than `connect_timeout`.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// Another error of the network or the machine.
    #[error("the network failed")]
    Failed(#[source] Arc<io::Error>),
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    Tls(#[source] Arc<io::Error>),
    /// The endpoint closed before it could be asked anything.
    #[error("the endpoint closed at once")]
    Codec(#[source] Arc<hyper::Error>),
    /// The pool, or the process, holds as many connections as it may.
    #[error("no more connections may be opened")]
    Limit,
}

impl ConnectError {
    /// The label in metrics and logs, from a closed set.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Resolve(_) => "resolve_failed",
            Self::Refused(_) => "connect_refused",
            Self::Timeout(_) => "connect_timeout",
            Self::Failed(_) | Self::Codec(_) => "connect_failed",
            Self::Tls(_) => "tls_failed",
            Self::Limit => "connection_limit",
        }
    }

    /// Whether time ran out.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Whether the endpoint is to blame.
    pub(crate) const fn is_the_endpoints(&self) -> bool {
        !matches!(self, Self::Limit)
    }
}

/// What makes connections to all endpoints of an upstream.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: Option<Tls>,
}

/// How TLS is spoken.
#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    /// The name that certificates must have, in place of the endpoint's own.
    server_name: Option<ServerName<'static>>,
}

/// What came of it.
pub(crate) struct Connected {
    pub(crate) io: Transport,
    pub(crate) version: Version,
}

/// The version of HTTP that the two ends have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

impl Connector {
    pub(crate) fn new(
        tls: Option<Arc<ClientConfig>>,
        server_name: Option<ServerName<'static>>,
    ) -> Self {
        let tls = tls.map(|config| Tls {
            connector: TlsConnector::from(config),
            server_name,
        });
        Self { tls }
    }

    /// Connects, and speaks TLS where the scheme says so. The slot goes into the bytes as soon as there
    /// are any.
    pub(crate) async fn connect(
        &self,
        address: &EndpointAddress,
        slot: Slot<UpstreamConnection>,
    ) -> Result<Connected, ConnectError> {
        let addresses = resolve(address).await?;
        let socket = race::first_of(addresses).await.map_err(refused_or_failed)?;
        let io = track(socket, address, slot)?;
        match (address.scheme(), &self.tls) {
            (Scheme::Http, _) => Ok(Connected {
                io: Transport::Plain { io },
                version: Version::Http1,
            }),
            (Scheme::H2c, _) => Ok(Connected {
                io: Transport::Plain { io },
                version: Version::Http2,
            }),
            (Scheme::Https, Some(tls)) => tls.handshake(address, io).await,
            (Scheme::Https, None) => {
                let none = io::Error::other("no TLS configuration was given");
                Err(ConnectError::Tls(Arc::new(none)))
            }
        }
    }
}

impl Tls {
    async fn handshake(
        &self,
        address: &EndpointAddress,
        io: Tracked<TcpStream, UpstreamConnection>,
    ) -> Result<Connected, ConnectError> {
        let handle = io.handle().clone();
        let failed = |error| {
            handle.conclude(CloseReason::TlsError);
            ConnectError::Tls(Arc::new(error))
        };
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(address.host().to_owned())
                .map_err(|error| failed(io::Error::other(error)))?,
        };
        let stream = self.connector.connect(name, io).await.map_err(failed)?;
        let version = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Version::Http2,
            Some(_) | None => Version::Http1,
        };
        Ok(Connected {
            io: Transport::Tls {
                io: Box::new(stream),
            },
            version,
        })
    }
}

/// The addresses that the endpoint's name stands for.
pub(crate) async fn resolve(address: &EndpointAddress) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Some(ip) = address.ip() {
        return Ok(vec![SocketAddr::new(ip, address.port())]);
    }
    let failed = |error| ConnectError::Resolve(Arc::new(error));
    let found = tokio::net::lookup_host((address.host(), address.port()));
    let found: Vec<_> = found.await.map_err(failed)?.collect();
    if found.is_empty() {
        return Err(failed(io::Error::other("the name has no address")));
    }
    Ok(found)
}

/// Gives the bytes the slot that was taken for them.
fn track(
    socket: TcpStream,
    address: &EndpointAddress,
    slot: Slot<UpstreamConnection>,
) -> Result<Tracked<TcpStream, UpstreamConnection>, ConnectError> {
    let failed = |error| ConnectError::Failed(Arc::new(error));
    let ends = Endpoints::new(
        socket.peer_addr().map_err(failed)?,
        socket.local_addr().map_err(failed)?,
    );
    let connection = UpstreamConnection::new(address.clone());
    // Charged to nobody: shares and rates are those of sources that come to us.
    let guard = slot
        .open(ends, Charge::Announced, connection)
        .map_err(|_| ConnectError::Limit)?;
    Ok(Tracked::new(socket, guard))
}

/// Options that every connection gets. What a system does not know is not asked of it.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    // An endpoint whose machine is gone is found after a minute, also where nothing is sent.
    let keep_alive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10));
    socket.set_tcp_keepalive(&keep_alive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(30)))?;
    Ok(())
}

fn refused_or_failed(error: io::Error) -> ConnectError {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        ConnectError::Refused(Arc::new(error))
    } else {
        ConnectError::Failed(Arc::new(error))
    }
}

/// A slot for one more connection. Where the pool is full, idle connections to other endpoints are asked
/// to leave, for as long as somebody waits.
pub(crate) async fn slot(
    pool: &Pool<UpstreamConnection>,
    address: &EndpointAddress,
) -> Slot<UpstreamConnection> {
    if let Ok(slot) = pool.reserve() {
        return slot;
    }
    let ip = address
        .ip()
        .unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
    pool.make_room(ip, 1);
    pool.reserved().await
}
