//! [`Door`]: the admin API's own listener, and the connections that came by it.

use std::collections::VecDeque;
use std::fs::{Permissions, remove_file, set_permissions};
use std::io::{self, ErrorKind};
use std::net::TcpListener as StdTcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use wharf_http::tls::{Acceptor, Handshaken, Refused};

use super::lock::Lock;
use super::spare::Spares;
use crate::config::AdminAddress;
use crate::descriptors::is_out_of_descriptors;
use crate::live::Live;

/// How many connections there may be; one more ends the oldest, so that nobody can hold the door.
const CONNECTIONS: usize = 64;

/// How long a request head, or the next one, may take.
const HEAD: Duration = Duration::from_secs(10);

/// How long the door waits when an accept failed and nothing can be given up.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound listener that is not yet served.
#[derive(Debug)]
pub(crate) enum Door {
    /// A TCP address.
    Tcp(StdTcpListener),
    /// A socket in the file system.
    Unix(StdUnixListener),
}

impl Door {
    /// Binds the address; `None` if the admin API is off.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(crate) fn bind(address: &AdminAddress) -> io::Result<Option<Self>> {
        let door = match address {
            AdminAddress::Off => return Ok(None),
            AdminAddress::Tcp(address) => {
                let listener = StdTcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Self::Tcp(listener)
            }
            AdminAddress::Unix(path) => {
                let listener = bind_unix(path)?;
                listener.set_nonblocking(true)?;
                Self::Unix(listener)
            }
        };
        Ok(Some(door))
    }

    /// The address as an operator writes it.
    pub(crate) fn address(&self, secured: bool) -> String {
        let scheme = if secured { "https" } else { "http" };
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(
                |_| "?".to_owned(),
                |address| format!("{scheme}://{address}"),
            ),
            Self::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(|| "?".to_owned(), |path| format!("unix:{}", path.display()))
            }
        }
    }

    /// Serves `api` to whoever comes, for ever, behind the TLS that `live` has.
    pub(crate) async fn serve(self, api: Router, live: &Live) {
        let open = match self {
            Self::Tcp(listener) => TcpListener::from_std(listener).map(OpenDoor::Tcp),
            Self::Unix(listener) => UnixListener::from_std(listener).map(OpenDoor::Unix),
        };
        match open {
            Ok(door) => serve(door, api, live).await,
            Err(error) => tracing::error!(%error, "the admin API cannot be served"),
        }
    }
}

/// Binds a socket file that only its owner may use; one that nobody listens on is replaced.
fn bind_unix(path: &Path) -> io::Result<StdUnixListener> {
    let bound = StdUnixListener::bind(path);
    let listener = match bound {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path) => {
            remove_file(path)?;
            StdUnixListener::bind(path)?
        }
        bound => bound?,
    };
    set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn is_stale(path: &Path) -> bool {
    let refused = |error: io::Error| error.kind() == ErrorKind::ConnectionRefused;
    StdUnixStream::connect(path).is_err_and(refused)
}

enum OpenDoor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl OpenDoor {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "small answers will be slow");
                }
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }
}

async fn serve(door: OpenDoor, api: Router, live: &Live) {
    let mut lock = Lock::default();
    let spares = Arc::new(Spares::new());
    let mut connections = JoinSet::new();
    let mut oldest: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = door.accept() => accepted,
            Some(_) = connections.join_next() => {
                spares.refill();
                oldest.retain(|connection| !connection.is_finished());
                continue;
            }
        };
        match accepted {
            Ok(stream) => {
                if oldest.len() >= CONNECTIONS
                    && let Some(first) = oldest.pop_front()
                {
                    first.abort();
                }
                let serving = match (stream, lock.of(&live.config().admin)) {
                    (_, Err(error)) => {
                        tracing::error!(%error, "the admin API cannot be secured");
                        continue;
                    }
                    (Stream::Tcp(stream), Ok(Some(tls))) => {
                        connections.spawn(secured(stream, tls, api.clone()))
                    }
                    (Stream::Tcp(stream), Ok(None)) => {
                        connections.spawn(serve_one(stream, api.clone()))
                    }
                    (Stream::Unix(stream), Ok(_)) => {
                        connections.spawn(serve_one(stream, api.clone()))
                    }
                };
                oldest.push_back(serving);
            }
            Err(error) if is_out_of_descriptors(&error) && spares.give_up() => {}
            // Nobody is ended for it: without a descriptor accept fails before it looks whether somebody
            // is there.
            Err(_) => {
                sleep(PAUSE).await;
                spares.refill();
            }
        }
    }
}

/// Serves who shakes hands in time. One that is asked for in plain is told so by the handshake.
async fn secured(stream: TcpStream, tls: Acceptor, api: Router) {
    match timeout(HEAD, tls.accept(stream, Vec::new())).await {
        Ok(Ok(Handshaken { stream, .. })) => serve_one(stream, api).await,
        Ok(Err(Refused { error, mut io, .. })) => {
            tracing::debug!(%error, "no TLS at the admin API");
            // What it was told is on its way; who does not hear it is gone.
            io.shutdown().await.ok();
        }
        Err(_) => tracing::debug!("no TLS in time at the admin API"),
    }
}

async fn serve_one<T>(stream: T, api: Router)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(32 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(api))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "admin connection ended");
    }
}
