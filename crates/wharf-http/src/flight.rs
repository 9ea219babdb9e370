//! [`Flight`]: one request in flight, as it is counted: from its head to the last byte of its answer.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};
use tokio::time::Instant;
use wharf_pool::{CloseReason, Command, ConnectionHandle, Outcome, Pool, RequestGuard};

use crate::connection::HttpConnection;
use crate::context::Context;
use crate::grpc::Code;
use crate::observer::{RequestRecord, Tag};

/// What the requests of one connection share. In one record of the connection's own: workers that
/// each took a reference to the listener's context, for every request, would fight over its counter.
pub(crate) struct Link {
    pub(crate) handle: ConnectionHandle<HttpConnection>,
    pub(crate) pool: Pool<HttpConnection>,
    pub(crate) shared: Arc<Context>,
}

impl Link {
    /// Why an answer that begins now is the last of its connection, if it is; `last` is whether
    /// `max_requests` makes it so.
    pub(crate) fn farewell(&self, last: bool) -> Option<CloseReason> {
        let told = self.handle.command().map(Command::reason);
        let lame = || self.shared.is_lame().then_some(CloseReason::Drained);
        let parts = || self.shared.strain.parts().then_some(CloseReason::Pressure);
        told.or(last.then_some(CloseReason::MaxRequests))
            .or_else(lame)
            .or_else(parts)
    }
}

/// One request in flight, as it is counted.
pub(crate) struct Flight {
    link: Arc<Link>,
    guard: Option<RequestGuard<HttpConnection>>,
    begun: Instant,
    status: Option<StatusCode>,
    /// How a gRPC call has ended, and whether its caller set the deadline.
    code: Option<Code>,
    caller: Caller,
    course: Course,
    bytes_sent: u64,
    recorded: Option<Box<Recorded>>,
}

/// Whether the caller says how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Patient,
    Impatient,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// Not to its end.
    UnderWay,
    /// Its answer came to its end, as far as its body can say.
    Complete,
    /// Nowhere: nobody worked on it, since there was no place.
    Refused,
}

/// What an observer wants to know of a request that its handler has taken.
struct Recorded {
    method: Method,
    target: Uri,
    version: Version,
    user_agent: Option<HeaderValue>,
    tag: Option<Tag>,
}

impl Flight {
    /// Counts a request from now on; an observer's tag is put into it.
    pub(crate) fn begin<B>(link: Arc<Link>, request: &mut Request<B>) -> Self {
        let observer = link.shared.listening_observer();
        let recorded = observer.map(|observer| {
            let tag = observer.tag(request.headers());
            if let Some(tag) = &tag {
                request.extensions_mut().insert(tag.clone());
            }
            Box::new(Recorded {
                method: request.method().clone(),
                target: request.uri().clone(),
                version: request.version(),
                user_agent: request.headers().get(http::header::USER_AGENT).cloned(),
                tag,
            })
        });
        Self {
            guard: Some(link.handle.begin_request(&link.pool)),
            link,
            begun: Instant::now(),
            status: None,
            code: None,
            caller: Caller::Patient,
            course: Course::UnderWay,
            bytes_sent: 0,
            recorded,
        }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The head of the answer is there.
    pub(crate) fn responded(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Nobody worked on it: there was no place.
    pub(crate) fn refused(&mut self) {
        self.course = Course::Refused;
    }

    /// The head or the trailers of the answer to a gRPC call are there.
    pub(crate) fn called(&mut self, fields: &HeaderMap) {
        self.code = Code::of(fields).or(self.code);
    }

    /// The caller has set a deadline.
    pub(crate) fn is_impatient(&mut self) {
        self.caller = Caller::Impatient;
    }

    /// Gives the guard away, to a session that outlives the request.
    pub(crate) fn take_guard(&mut self) -> Option<RequestGuard<HttpConnection>> {
        self.guard.take()
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes_sent += bytes as u64;
    }

    pub(crate) fn complete(&mut self) {
        if self.course == Course::UnderWay {
            self.course = Course::Complete;
        }
    }

    /// The request has ended; `broken` is whether the connection went down under it. An answer whose
    /// body was dropped unread (HEAD, 304) is whole, unless that is so.
    pub(crate) fn end(&mut self, broken: bool) {
        let took = self.begun.elapsed();
        let outcome = match (self.status, self.code) {
            _ if self.course == Course::Refused => Outcome::Shed,
            // A caller who did not wait says nothing about our health.
            (_, Some(Code::DeadlineExceeded)) if self.caller == Caller::Impatient => {
                Outcome::Cancelled
            }
            (_, Some(code)) => code.outcome(),
            (Some(status), None) if self.course == Course::Complete || !broken => {
                Outcome::of_status(status.as_u16())
            }
            (Some(_) | None, None) => Outcome::Cancelled,
        };
        if let Some(guard) = self.guard.take() {
            guard.end(outcome, took);
        }
        self.observe(took, outcome);
    }

    fn observe(&self, took: Duration, outcome: Outcome) {
        let (Some(observer), Some(recorded)) = (&self.link.shared.observer, &self.recorded) else {
            return;
        };
        observer.observe(&RequestRecord {
            connection: self.link.handle.id(),
            peer: self.link.handle.peer(),
            pool: self.link.pool.name(),
            method: &recorded.method,
            target: &recorded.target,
            version: recorded.version,
            status: self.status,
            code: self.code,
            outcome,
            bytes_sent: self.bytes_sent,
            duration: took,
            user_agent: recorded.user_agent.as_ref(),
            tag: recorded.tag.as_ref(),
        });
    }
}
