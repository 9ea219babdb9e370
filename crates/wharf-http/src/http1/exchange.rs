//! [`Exchange`]: who owes whom what, on one HTTP/1 connection.
//!
//! The meter says what the peer has sent, the service what our side has answered, the wire whether
//! bytes move. Here it becomes one answer: what is waited for, since when, and when that is over.
//! No clock, no IO: `now` is an argument, so every rule is tested by a table.

use std::time::Duration;

use wharf_control::{Deadline, MinDataRate, RateMeter, Timestamp, Wait, earliest};

/// The limits of one connection's exchange, as its pool's configuration has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connection: Duration,
    pub(crate) headers: Duration,
    pub(crate) request: Option<Duration>,
    pub(crate) keep_alive: Duration,
    pub(crate) stream_idle: Option<Duration>,
    pub(crate) min_rate: Option<MinDataRate>,
}

/// What an HTTP/1 connection is in the middle of.
#[derive(Debug)]
pub(crate) struct Exchange {
    opened: Timestamp,
    /// Complete heads that were given to the codec.
    heads: u64,
    /// Requests that the codec gave to the service.
    called: u64,
    /// Requests whose answer has ended.
    answered: u64,
    /// Since when a head is begun and not complete.
    head_since: Option<Timestamp>,
    body: Body,
    response: Response,
    writing: Writing,
    idle_since: Timestamp,
}

/// The body of the latest request.
#[derive(Debug, Default)]
struct Body {
    open: bool,
    /// Since when the codec waits for its bytes in vain.
    waiting_since: Option<Timestamp>,
    /// When it last moved, ended, or was last waited for.
    moved: Timestamp,
    rate: RateMeter,
}

/// The answer that is in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Response {
    /// There is none.
    #[default]
    None,
    /// The handler has been called and has not answered.
    Owed {
        since: Timestamp,
        limit: Limit,
        expired: bool,
    },
    /// Its head has been handed over.
    Started,
}

/// How long a handler may owe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// As long as its pool says.
    Configured,
    /// As long as this request says; `None` is for ever.
    Own(Option<Duration>),
}

/// The way to the peer.
#[derive(Debug, Default)]
struct Writing {
    /// Since when the peer's socket takes nothing.
    blocked_since: Option<Timestamp>,
    /// When it did so for the first time during this answer.
    first_blocked: Timestamp,
    rate: RateMeter,
}

/// What a peer takes so soon after the first wait has only filled the buffers on the way to it.
const FILL: Duration = Duration::from_millis(300);

impl Exchange {
    pub(crate) fn new(opened: Timestamp) -> Self {
        Self {
            opened,
            heads: 0,
            called: 0,
            answered: 0,
            head_since: None,
            body: Body::default(),
            response: Response::None,
            writing: Writing::default(),
            idle_since: opened,
        }
    }

    /// The first bytes of a head are here, not all of them.
    pub(crate) fn head_begun(&mut self, now: Timestamp) {
        self.head_since.get_or_insert(now);
    }

    /// A head is complete; `body` says whether one follows.
    pub(crate) fn head_complete(&mut self, body: bool, now: Timestamp) {
        self.heads += 1;
        self.head_since = None;
        if let Response::Owed { since, .. } = &mut self.response {
            // The request in hand is complete, or this could not be another: its handler owes from
            // its own last byte.
            *since = (*since).max(self.body.moved);
        }
        self.body = Body {
            open: body,
            moved: now,
            ..Body::default()
        };
    }

    /// Bytes of the body are here, perhaps the last.
    pub(crate) fn body_received(&mut self, payload: u64, end: bool, now: Timestamp) {
        self.body.rate.delivered(payload, now);
        self.body.waiting_since = None;
        self.body.moved = now;
        self.body.open = !end;
    }

    /// The codec asks for bytes and there are none.
    pub(crate) fn read_blocked(&mut self, now: Timestamp) {
        if self.body.open {
            self.body.waiting_since.get_or_insert(now);
            self.body.rate.waiting(now);
        }
    }

    /// The codec has given a request to the service.
    pub(crate) fn called(&mut self, now: Timestamp) {
        self.called += 1;
        self.response = Response::Owed {
            since: now,
            limit: Limit::Configured,
            expired: false,
        };
    }

    /// The request in hand has a limit of its own.
    pub(crate) fn limit_response(&mut self, own: Option<Duration>) {
        if let Response::Owed { limit, .. } = &mut self.response {
            *limit = Limit::Own(own);
        }
    }

    /// The service has answered with a response head.
    pub(crate) fn responded(&mut self) {
        self.response = Response::Started;
    }

    /// The last byte of an answer has been handed over, or nobody wants it any more.
    pub(crate) fn answered(&mut self, now: Timestamp) {
        self.answered += 1;
        self.response = Response::None;
        self.idle_since = now;
        self.writing.rate = RateMeter::new();
        if self.writing.blocked_since.is_some() {
            self.writing.rate.waiting(now);
        }
    }

    /// The peer's socket takes bytes again.
    pub(crate) fn unblocked(&mut self, now: Timestamp) {
        if self.writing.blocked_since.take().is_some() {
            self.writing.rate.paused(now);
        }
    }

    /// The peer's socket takes nothing more.
    pub(crate) fn write_blocked(&mut self, now: Timestamp) {
        if self.writing.blocked_since.is_none() && self.writing.rate.is_new() {
            self.writing.first_blocked = now;
        }
        self.writing.blocked_since.get_or_insert(now);
        self.writing.rate.waiting(now);
    }

    /// The peer has taken bytes that its socket was waiting to get rid of.
    pub(crate) fn taken(&mut self, bytes: u64, now: Timestamp) {
        let Writing {
            blocked_since: Some(since),
            first_blocked,
            rate,
        } = &mut self.writing
        else {
            return;
        };
        if bytes == 0 {
            return;
        }
        *since = now;
        if now - *first_blocked <= FILL {
            *rate = RateMeter::new();
        } else {
            rate.delivered(bytes, now);
        }
        rate.waiting(now);
    }

    /// The handler's time is over. Whether it has to be told: the first time only.
    pub(crate) fn expire(&mut self) -> bool {
        match &mut self.response {
            Response::Owed { expired, .. } => !std::mem::replace(expired, true),
            Response::None | Response::Started => false,
        }
    }

    /// Whether the handler's time is over.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self.response, Response::Owed { expired: true, .. })
    }

    /// Whether something of an answer has been handed over and not all of it has gone out: what is
    /// said now would be read as a part of it.
    pub(crate) fn is_responding(&self) -> bool {
        self.response == Response::Started || self.is_writing()
    }

    /// Whether part of a head is here.
    pub(crate) fn in_head(&self) -> bool {
        self.head_since.is_some()
    }

    /// Requests that were received and whose answer has not ended.
    pub(crate) fn outstanding(&self) -> u64 {
        self.heads.saturating_sub(self.answered)
    }

    /// Whether the rest of the latest request's body is still to come.
    pub(crate) fn in_body(&self) -> bool {
        self.body.open
    }

    /// Whether the peer's socket takes nothing more.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.blocked_since.is_some()
    }

    /// Whether nothing is in flight in either direction and no request has begun.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding() == 0 && self.head_since.is_none() && self.writing.blocked_since.is_none()
    }

    /// Since when nothing is in flight.
    pub(crate) fn idle_since(&self) -> Option<Timestamp> {
        self.is_idle().then_some(self.idle_since)
    }

    /// Whether not even the first request is here.
    pub(crate) fn is_silent(&self) -> bool {
        self.heads == 0
    }

    /// What is waited for that is over first.
    pub(crate) fn deadline(&self, limits: &Timeouts) -> Option<Deadline> {
        let first = (self.heads == 0).then_some(self.opened);
        let idle = self.idle_since().filter(|_| self.heads > 0);
        // Behind a request in hand a head may take its time: its judgement would be read as the
        // answer to that request.
        let head = self.head_since.filter(|_| self.outstanding() == 0);
        let head = head.map(|since| since.max(self.idle_since));
        let body = self.body.waiting_since.filter(|_| self.body.open);
        let silent = body.filter(|_| self.response != Response::Started);
        let blocked = self.writing.blocked_since;
        let rate = |rate: &RateMeter, since: Option<Timestamp>| {
            limits
                .min_rate
                .filter(|_| since.is_some())
                .map(|min| rate.due_at(min))
        };
        let body_rate = rate(&self.body.rate, body).unwrap_or(Timestamp::MAX);
        let read_rate = rate(&self.writing.rate, blocked).unwrap_or(Timestamp::MAX);
        earliest([
            Deadline::new(Wait::FirstRequest, first, Some(limits.connection)),
            Deadline::new(Wait::Head, head, Some(limits.headers)),
            self.response_deadline(limits.request),
            Deadline::new(Wait::Peer, silent, limits.stream_idle),
            Deadline::new(Wait::Peer, blocked, limits.stream_idle),
            Deadline::at(Wait::BodyRate, body_rate),
            Deadline::at(Wait::ReadRate, read_rate),
            Deadline::new(Wait::NextRequest, idle, Some(limits.keep_alive)),
        ])
    }

    /// The handler owes from the call or the last move of the request's body, whichever is later,
    /// and never while the peer is the one who keeps it waiting.
    fn response_deadline(&self, configured: Option<Duration>) -> Option<Deadline> {
        let Response::Owed {
            since,
            limit,
            expired: false,
        } = self.response
        else {
            return None;
        };
        let current = self.called == self.heads;
        if current && self.body.open && self.body.waiting_since.is_some() {
            return None;
        }
        let since = if current {
            since.max(self.body.moved)
        } else {
            since
        };
        let limit = match limit {
            Limit::Configured => configured,
            Limit::Own(limit) => limit,
        };
        Deadline::new(Wait::Response, Some(since), limit)
    }
}

#[cfg(test)]
mod tests;
