//! [`Invitation`]: what a request for a session brings to a handler of our own.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::bytes::WebSocketBytes;
use super::port::Port;
use super::seat::Seat;
use super::socket::WebSocket;

/// An extension of every request whose handler may accept a session.
#[derive(Clone)]
pub(crate) struct Invitation {
    /// Where the session's handler runs.
    pub(crate) tasks: TaskTracker,
    pub(crate) way: Way,
}

/// How the session is had once it is accepted.
#[derive(Clone)]
pub(crate) enum Way {
    /// The codec of HTTP/1 gives the connection away.
    Connection(Claim),
    /// The stream becomes the session.
    Stream(Arc<Seat>),
}

/// Makes a session of what the codec of HTTP/1 has given away, with what it had read ahead.
pub(crate) type Claim = fn(Upgraded) -> Option<(Arc<dyn Port>, Bytes)>;

/// A session that has been accepted, and is there as soon as the client has been told.
pub(super) enum Accepted {
    Connection(OnUpgrade, Claim),
    Stream(oneshot::Receiver<Arc<dyn Port>>),
}

impl Accepted {
    /// The session; `None` if it came to nothing.
    pub(super) async fn session(self) -> Option<WebSocket> {
        match self {
            Self::Connection(upgrade, claim) => {
                let (port, early) = claim(upgrade.await.ok()?)?;
                Some(WebSocket::new(port, early))
            }
            Self::Stream(session) => Some(WebSocket::new(session.await.ok()?, Bytes::new())),
        }
    }

    /// Its bytes; `None` if it came to nothing.
    pub(super) async fn bytes(self) -> Option<WebSocketBytes> {
        match self {
            Self::Connection(upgrade, _) => {
                Some(WebSocketBytes::of_connection(upgrade.await.ok()?))
            }
            Self::Stream(session) => Some(WebSocketBytes::of_stream(session.await.ok()?)),
        }
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").finish_non_exhaustive()
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").finish_non_exhaustive()
    }
}
