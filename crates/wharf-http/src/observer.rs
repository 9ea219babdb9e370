//! [`RequestObserver`]: who wants to know of every request, such as an access log.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use wharf_pool::{ConnId, Outcome, PoolName};

use crate::grpc::Code;

/// Is told of every request when its answer has ended.
pub trait RequestObserver: Send + Sync + 'static {
    /// Called on the worker that ends the request: it must not block, and must not panic.
    fn observe(&self, record: &RequestRecord<'_>);

    /// Whether it wants to hear of requests that begin now. Nothing is noted of one that nobody
    /// wants to hear of.
    fn is_listening(&self) -> bool {
        true
    }

    /// A request with these fields begins: what is kept of it until it ends. Called on the worker, as
    /// [`observe`](Self::observe) is, and only while the observer listens.
    fn tag(&self, fields: &HeaderMap) -> Option<Tag> {
        let _ = fields;
        None
    }
}

/// What an observer keeps of a request while it is under way: an extension of the request, and part of its
/// record. Cheap to clone.
#[derive(Clone)]
pub struct Tag(Arc<dyn Any + Send + Sync>);

impl Tag {
    /// Keeps this.
    pub fn new<T: Any + Send + Sync>(kept: Arc<T>) -> Self {
        Self(kept)
    }

    /// What is kept, if it is of that type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.0).downcast().ok()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag")
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
    /// How a gRPC call ended; `None` of anything else, and of a call that was given up.
    pub code: Option<Code>,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of the answer's body that were handed over.
    pub bytes_sent: u64,
    /// From the request's head to the end of the answer.
    pub duration: Duration,
    /// The request's `User-Agent`.
    pub user_agent: Option<&'a HeaderValue>,
    /// What the observer has kept of it.
    pub tag: Option<&'a Tag>,
}
