//! [`Flight`]: one request, from the codec to the last byte of its answer.

use std::time::Duration;

use http::{HeaderMap, HeaderName, Response, StatusCode};
use tokio::time::Instant;
use wharf_pool::{CloseReason, Outcome, RequestGuard};

use crate::connection::UpstreamConnection;
use crate::endpoint::{Answer, Lease, Load};
use crate::error::SendError;
use crate::upload::Owes;
use crate::verdict::Verdict;

/// One request in flight. It belongs into the body of the answer, and holds all that ends with it: its
/// place in the pool's count, the connection's lease, the endpoint's load.
pub(crate) struct Flight {
    request: RequestGuard<UpstreamConnection>,
    begun: Instant,
    /// What had been written to the connection before the codec was given the request.
    written: u64,
    verdict: Verdict,
    tunnel: bool,
    lease: Lease,
    load: Load,
}

impl Flight {
    /// A request is about to be given to the codec.
    pub(crate) fn begin(mut lease: Lease, mut load: Load, begun: Instant) -> Self {
        lease.begin();
        load.is_given(begun);
        let pool = &load.endpoint().context.pool;
        Self {
            request: lease.handle.begin_request(pool),
            begun,
            written: lease.handle.bytes().1,
            verdict: Verdict::default(),
            tunnel: false,
            lease,
            load,
        }
    }

    pub(crate) const fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(crate) const fn load(&self) -> &Load {
        &self.load
    }

    /// Whether the connection has written nothing since the request was begun, so that its endpoint cannot have
    /// seen it.
    ///
    /// Counted from before the codec had the request: it runs on another worker, and may have written all of it
    /// before whoever gave it the request comes to look.
    pub(crate) fn has_written_nothing(&self) -> bool {
        self.lease.handle.bytes().1 == self.written
    }

    /// The head of the answer has come. Calls of gRPC say in their trailers how they went.
    pub(crate) fn head<B>(&mut self, answer: &Response<B>, connect: bool) {
        self.verdict = Verdict::of_head(answer);
        let now = Instant::now();
        let took = now - self.begun;
        self.load.endpoint().tally.answered(took);
        if let Some(patience) = keep_alive(answer.headers()) {
            let handle = &self.lease.handle;
            if handle.connection().set_patience(patience) {
                // Its driver sleeps until a later deadline.
                handle.control().wake();
            }
        }
        self.tunnel = answer.status() == StatusCode::SWITCHING_PROTOCOLS
            || (connect && answer.status().is_success());
        match self.verdict.answer(took) {
            Some(answer) => self.load.note(answer, now),
            None => self.load.endpoint().heard(),
        }
    }

    /// Whether the bytes after the head are somebody else's.
    pub(crate) const fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    /// The trailers of the answer have come.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        self.judge(trailers, Instant::now());
    }

    fn judge(&mut self, trailers: &HeaderMap, now: Instant) {
        if let Some(answer) = self.verdict.trailers(trailers, now - self.begun) {
            self.load.note(answer, now);
        }
    }

    /// The answer was read to its end.
    pub(crate) fn complete(mut self) {
        // Where trailers are awaited and there are none, that is the verdict.
        let now = Instant::now();
        self.judge(&HeaderMap::new(), now);
        let outcome = self.verdict.outcome();
        self.load.ends(outcome);
        self.request.end(outcome, now - self.begun);
        self.lease.complete();
    }

    /// The answer, or a tunnel, is over whenever the socket is.
    pub(crate) async fn until_gone(self) {
        let gone = self.lease.handle.connection().gone.clone();
        let closed = self.load.endpoint().context.closed.clone();
        tokio::select! {
            () = gone.cancelled() => {}
            () = closed.cancelled() => {}
        }
        self.complete();
    }

    /// Whoever asked gave it up.
    pub(crate) fn abandon(self) {
        self.lease.conclude(CloseReason::Abandoned);
    }

    /// The connection broke, or what came was wrong.
    pub(crate) fn broken(self) {
        self.fail(CloseReason::PeerReset);
    }

    /// There is no answer, for that reason; `owes` is whom it was waited for.
    pub(crate) fn failed(mut self, error: &SendError, owes: Owes) {
        self.load.is_unanswered();
        match error {
            SendError::DeadlineExceeded { .. } => self.overdue(owes),
            SendError::ResponseTimeout { .. } | SendError::SendTimeout { .. } => self.late(),
            SendError::Malformed { .. } => self.fail(CloseReason::ProtocolError),
            SendError::Broken { .. } => self.broken(),
            // The endpoint has done nothing wrong: it has closed what nobody used, or the caller is to blame.
            SendError::NoEndpoint
            | SendError::Closed
            | SendError::Connect { .. }
            | SendError::TooManyWaiting { .. }
            | SendError::WaitTimeout { .. }
            | SendError::Shed { .. }
            | SendError::TooManySessions { .. }
            | SendError::Unsent { .. }
            | SendError::RequestBody { .. }
            | SendError::BadRequest { .. } => self.abandon(),
        }
    }

    /// The endpoint took too long.
    pub(crate) fn late(self) {
        self.fail(CloseReason::RequestTimeout);
    }

    /// The time that the caller had is over.
    fn overdue(self, owes: Owes) {
        match owes {
            Owes::Room(since) | Owes::Answer(since) if self.load.endpoint().is_to_blame(since) => {
                self.late();
            }
            Owes::Bytes | Owes::Room(_) | Owes::Answer(_) => self.abandon(),
        }
    }

    fn fail(mut self, reason: CloseReason) {
        let now = Instant::now();
        self.load.note(Answer::Failed { retry_after: None }, now);
        self.load.ends(Outcome::ServerError);
        self.request.end(Outcome::ServerError, now - self.begun);
        self.lease.conclude(reason);
    }
}

/// Made once: to make a name of a string costs more than to look for it.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What an endpoint says of how long it keeps a connection without a request (`Keep-Alive: timeout=5`).
fn keep_alive(fields: &HeaderMap) -> Option<Duration> {
    let said = fields.get(&KEEP_ALIVE)?.to_str().ok()?;
    let timeout = said
        .split(',')
        .find_map(|it| it.trim().strip_prefix("timeout="))?;
    Some(Duration::from_secs(timeout.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoints_own_patience_is_read() {
        let said = |text: &str| {
            let mut fields = HeaderMap::new();
            fields.insert("keep-alive", text.parse().unwrap());
            keep_alive(&fields)
        };
        assert_eq!(said("timeout=5, max=100"), Some(Duration::from_secs(5)));
        assert_eq!(said("max=100, timeout=5"), Some(Duration::from_secs(5)));
        assert_eq!((said("max=100"), said("timeout=soon")), (None, None));
        assert_eq!(keep_alive(&HeaderMap::new()), None);
    }
}
