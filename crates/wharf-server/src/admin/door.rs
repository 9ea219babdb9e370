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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::spare::Spares;
use crate::config::AdminAddress;
use crate::descriptors::is_out_of_descriptors;

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
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| "?".to_owned(), |address| format!("http://{address}")),
            Self::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(|| "?".to_owned(), |path| format!("unix:{}", path.display()))
            }
        }
    }

    /// Serves `api` to whoever comes, for ever.
    pub(crate) async fn serve(self, api: Router) {
        let open = match self {
            Self::Tcp(listener) => TcpListener::from_std(listener).map(OpenDoor::Tcp),
            Self::Unix(listener) => UnixListener::from_std(listener).map(OpenDoor::Unix),
        };
        match open {
            Ok(door) => serve(door, api).await,
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

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl OpenDoor {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "small answers will be slow");
                }
                Ok(Box::new(stream))
            }
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

async fn serve(door: OpenDoor, api: Router) {
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
                oldest.push_back(connections.spawn(serve_one(stream, api.clone())));
            }
            Err(error) if is_out_of_descriptors(&error) && spares.give_up() => {}
            Err(_) => {
                sleep(PAUSE).await;
                spares.refill();
            }
        }
    }
}

async fn serve_one(stream: Box<dyn Stream>, api: Router) {
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
