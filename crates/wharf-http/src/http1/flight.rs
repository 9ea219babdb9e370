//! [`Flight`]: one request in flight, from its head to the last byte of its answer.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use http::{Method, Request, StatusCode, Uri, Version};
use tokio::time::Instant;
use wharf_pool::{CloseReason, Command, ConnId, ConnectionHandle, Outcome, RequestGuard};

use super::shared_wire::SharedWire;
use super::wire::Session;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::observer::RequestRecord;
use crate::transport::Transport;

/// What the requests of one connection share. In one record of the connection's own: workers that
/// each took a reference to the listener's context, for every request, would fight over its counter.
pub(crate) struct Link {
    pub(crate) handle: ConnectionHandle<HttpConnection>,
    pub(crate) shared: Arc<Context>,
}

/// One request in flight. Its drop is the end of the request, however that comes about.
pub(crate) struct Flight<T: Transport> {
    wire: SharedWire<T>,
    link: Arc<Link>,
    guard: Option<RequestGuard<HttpConnection>>,
    begun: Instant,
    status: Option<StatusCode>,
    /// Whether the answer came to its end, as far as its body can say.
    complete: bool,
    bytes_sent: u64,
    recorded: Option<Box<Recorded>>,
}

/// What an observer wants to know of a request that its handler has taken.
pub(crate) struct Recorded {
    method: Method,
    target: Uri,
    version: Version,
    user_agent: Option<http::HeaderValue>,
}

impl Recorded {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            target: request.uri().clone(),
            version: request.version(),
            user_agent: request.headers().get(http::header::USER_AGENT).cloned(),
        }
    }
}

impl<T: Transport> Flight<T> {
    pub(crate) fn begin(
        wire: SharedWire<T>,
        link: Arc<Link>,
        guard: RequestGuard<HttpConnection>,
        recorded: Option<Recorded>,
    ) -> Self {
        Self {
            wire,
            link,
            guard: Some(guard),
            begun: Instant::now(),
            status: None,
            complete: false,
            bytes_sent: 0,
            recorded: recorded.map(Box::new),
        }
    }

    pub(crate) fn id(&self) -> ConnId {
        self.link.handle.id()
    }

    pub(crate) fn handle(&self) -> &ConnectionHandle<HttpConnection> {
        &self.link.handle
    }

    pub(crate) fn wire(&self) -> &SharedWire<T> {
        &self.wire
    }

    /// Why the answer is the last of its connection, if it is; `last` is whether `max_requests` makes
    /// it so.
    pub(crate) fn farewell(&self, last: bool) -> Option<CloseReason> {
        if self.is_expired() {
            return Some(CloseReason::RequestTimeout);
        }
        let told = self.link.handle.command().map(Command::reason);
        let lame = || self.link.shared.is_lame().then_some(CloseReason::Drained);
        told.or(last.then_some(CloseReason::MaxRequests))
            .or_else(lame)
    }

    /// Whether the handler's time is over.
    pub(crate) fn is_expired(&self) -> bool {
        self.wire.lock().exchange.is_expired()
    }

    /// The head of the answer is there.
    pub(crate) fn responded(&mut self, status: StatusCode, upgrade: bool) {
        self.status = Some(status);
        let guard = self.guard.take_if(|_| upgrade);
        let session = guard.map(|guard| Session {
            guard,
            outcome: Outcome::of_status(status.as_u16()),
            took: self.begun.elapsed(),
        });
        let reader = self.wire.lock().answer_begins(session);
        reader.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes_sent += bytes as u64;
    }

    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }

    /// hyper drops a body that it does not need (HEAD, 304) without reading it: that answer is
    /// whole, unless the connection went down under it.
    fn outcome(&self, broken: bool) -> Outcome {
        match self.status {
            Some(status) if self.complete || !broken => Outcome::of_status(status.as_u16()),
            Some(_) | None => Outcome::Cancelled,
        }
    }

    fn observe(&self, took: Duration, outcome: Outcome) {
        let (Some(observer), Some(recorded)) = (&self.link.shared.observer, &self.recorded) else {
            return;
        };
        observer.observe(&RequestRecord {
            connection: self.link.handle.id(),
            peer: self.link.handle.peer(),
            pool: self.link.shared.pool.name(),
            method: &recorded.method,
            target: &recorded.target,
            version: recorded.version,
            status: self.status,
            outcome,
            bytes_sent: self.bytes_sent,
            duration: took,
            user_agent: recorded.user_agent.as_ref(),
        });
    }
}

impl<T: Transport> Drop for Flight<T> {
    fn drop(&mut self) {
        let broken = {
            let mut wire = self.wire.lock();
            wire.exchange.answered(self.link.shared.clock.now());
            wire.fate.is_broken()
        };
        let took = self.begun.elapsed();
        let outcome = self.outcome(broken);
        if let Some(guard) = self.guard.take() {
            guard.end(outcome, took);
        }
        self.observe(took, outcome);
    }
}
