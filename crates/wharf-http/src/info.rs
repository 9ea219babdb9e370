//! [`Connected`]: what a handler learns of the connection that its request came on.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use http::Extensions;
use wharf_pool::{ConnId, ConnectionHandle, ConnectionInfo};

use crate::connection::HttpConnection;
use crate::http1::Wire;
use crate::http2::Stream;
use crate::transport::Transport;

/// The connection that a request came on: an extension of every request.
///
/// With the feature `axum`, `axum::extract::ConnectInfo<SocketAddr>` is one too. It may be kept: it
/// keeps neither the connection nor the request alive.
#[derive(Clone)]
pub struct Connected {
    handle: ConnectionHandle<HttpConnection>,
    limits: Weak<dyn RequestLimits>,
}

/// What a handler may change about its own request.
pub(crate) trait RequestLimits: Send + Sync + 'static {
    fn set_request_timeout(&self, limit: Option<Duration>);
}

impl<T: Transport> RequestLimits for Mutex<Wire<T>> {
    fn set_request_timeout(&self, limit: Option<Duration>) {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .exchange
            .limit_response(limit);
    }
}

impl RequestLimits for Stream {
    fn set_request_timeout(&self, limit: Option<Duration>) {
        self.limit_response(limit);
    }
}

impl Connected {
    pub(crate) fn new<L: RequestLimits>(
        handle: ConnectionHandle<HttpConnection>,
        limits: Weak<L>,
    ) -> Self {
        Self { handle, limits }
    }

    pub(crate) fn insert_into(self, extensions: &mut Extensions) {
        #[cfg(feature = "axum")]
        extensions.insert(axum::extract::ConnectInfo(self.peer()));
        extensions.insert(self);
    }

    /// The connection's identity.
    pub fn id(&self) -> ConnId {
        self.handle.id()
    }

    /// The peer: the one that a trusted proxy announced, else the socket's.
    pub fn peer(&self) -> SocketAddr {
        self.handle.peer()
    }

    /// Everything that is known of the connection now.
    pub fn info(&self) -> ConnectionInfo {
        self.handle.info()
    }

    /// The handle by which the connection is steered.
    pub fn handle(&self) -> &ConnectionHandle<HttpConnection> {
        &self.handle
    }

    /// Gives the request in hand a limit of its own instead of `request_timeout`; `None`: it may
    /// take as long as it likes. Without effect once its response has begun.
    pub fn set_request_timeout(&self, limit: Option<Duration>) {
        if let Some(limits) = self.limits.upgrade() {
            limits.set_request_timeout(limit);
            // Without a limit nothing is due sooner, and the driver looks again before it acts on what was.
            if limit.is_some() {
                self.handle.control().wake();
            }
        }
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
