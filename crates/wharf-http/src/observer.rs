//! [`RequestObserver`]: who wants to know of every request, such as an access log.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, Uri, Version};
use wharf_pool::{ConnId, Outcome, PoolName};

/// Is told of every request when its answer has ended.
pub trait RequestObserver: Send + Sync + 'static {
    /// Called on the worker that ends the request: it must not block, and must not panic.
    fn observe(&self, record: &RequestRecord<'_>);

    /// Whether it wants to hear of requests that begin now. Nothing is noted of one that nobody
    /// wants to hear of.
    fn is_listening(&self) -> bool {
        true
    }
}

/// One request that has ended. What the peer sent is as it was sent: escape it before it is shown.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestRecord<'a> {
    /// The connection.
    pub connection: ConnId,
    /// Its peer: the announced one behind a trusted proxy.
    pub peer: SocketAddr,
    /// Its pool.
    pub pool: &'a PoolName,
    /// The method.
    pub method: &'a Method,
    /// The target, as the request line had it.
    pub target: &'a Uri,
    /// The version.
    pub version: Version,
    /// The status of the answer; `None` if none was begun.
    pub status: Option<StatusCode>,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of the answer's body that were handed over.
    pub bytes_sent: u64,
    /// From the request's head to the end of the answer.
    pub duration: Duration,
    /// The request's `User-Agent`.
    pub user_agent: Option<&'a HeaderValue>,
}
