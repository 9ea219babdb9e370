//! [`Connector`]: from the address of an endpoint to bytes that go both ways.

mod line;
mod race;
mod resolve;
mod tls;

pub(crate) use line::Line;
pub use resolve::LinkLocal;
pub(crate) use resolve::{is_meant, resolve};

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use wharf_pool::{Charge, Endpoints, Slot, Tracked};

use crate::address::{EndpointAddress, Scheme};
use crate::connection::UpstreamConnection;
use crate::transport::Transport;
use tls::Tls;

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
    link_local: LinkLocal,
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
        tls: Option<&Arc<ClientConfig>>,
        server_name: Option<ServerName<'static>>,
        link_local: LinkLocal,
    ) -> Self {
        Self {
            tls: tls.map(|config| Tls::new(config, server_name)),
            link_local,
        }
    }

    /// Connects, and speaks TLS where the scheme says so. The slot goes into the bytes as soon as there
    /// are any. `only` is the one version that will do, where TLS would agree on another.
    pub(crate) async fn connect(
        &self,
        address: &EndpointAddress,
        slot: Slot<UpstreamConnection>,
        only: Option<Version>,
    ) -> Result<Connected, ConnectError> {
        let addresses = resolve(address, self.link_local).await?;
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
            (Scheme::Https, Some(tls)) => tls.handshake(address, io, only).await,
            (Scheme::Https, None) => {
                let none = io::Error::other("no TLS configuration was given");
                Err(ConnectError::Tls(Arc::new(none)))
            }
        }
    }
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
    if is_our_limit(&error) {
        ConnectError::Limit
    } else if error.kind() == io::ErrorKind::ConnectionRefused {
        ConnectError::Refused(Arc::new(error))
    } else {
        ConnectError::Failed(Arc::new(error))
    }
}

/// Whether it is this process or machine that has no more descriptors or ports: no endpoint is to blame for that, or
/// all of them would be left alone at once.
fn is_our_limit(error: &io::Error) -> bool {
    // ENFILE and EMFILE, the same on every Unix; they have no kind.
    let descriptors = cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24));
    descriptors || error.kind() == io::ErrorKind::AddrNotAvailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn no_endpoint_is_to_blame_where_descriptors_or_ports_are_used_up() {
        let blames = |error| refused_or_failed(error).is_the_endpoints();
        for ours in [23, 24] {
            assert!(!blames(io::Error::from_raw_os_error(ours)), "{ours}");
        }
        assert!(!blames(io::ErrorKind::AddrNotAvailable.into()));
        for theirs in [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::TimedOut,
        ] {
            assert!(blames(theirs.into()), "{theirs}");
        }
    }
}
