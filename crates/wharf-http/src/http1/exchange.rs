//! [`Exchange`]: who owes whom what, on one HTTP/1 connection.
//!
//! The meter says what the peer has sent, the service what our side has answered, the wire whether
//! bytes move. Here it becomes one answer: what is waited for, since when, and when that is over.
//! No clock, no IO: `now` is an argument, so every rule is tested by a table.

use std::time::Duration;

use wharf_control::{Deadline, Timestamp, Wait, earliest};

use crate::waits::{Receiving, Reply, Sending, Timeouts};

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
    /// The body of the latest request.
    body: Receiving,
    response: Reply,
    writing: Sending,
    idle_since: Timestamp,
}

impl Exchange {
    pub(crate) fn new(opened: Timestamp) -> Self {
        Self {
            opened,
            heads: 0,
            called: 0,
            answered: 0,
            head_since: None,
            body: Receiving::default(),
            response: Reply::None,
            writing: Sending::default(),
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
        // The request in hand is complete, or this could not be another: its handler owes from its
        // own last byte.
        self.response.owed_from(self.body.moved());
        self.body = Receiving::new(body, now);
    }

    /// Bytes of the body are here, perhaps the last.
    pub(crate) fn body_received(&mut self, payload: u64, end: bool, now: Timestamp) {
        self.body.received(payload, end, now);
    }

    /// The codec asks for bytes and there are none.
    pub(crate) fn read_blocked(&mut self, now: Timestamp) {
        self.body.blocked(now);
    }

    /// The codec has given a request to the service.
    pub(crate) fn called(&mut self, now: Timestamp) {
        self.called += 1;
        self.response = Reply::owed(now);
    }

    /// The request in hand has a limit of its own.
    pub(crate) fn limit_response(&mut self, own: Option<Duration>) {
        self.response.limit(own);
    }

    /// The service has answered with a response head.
    pub(crate) fn responded(&mut self) {
        self.response = Reply::Started;
    }

    /// The last byte of an answer has been handed over, or nobody wants it any more.
    pub(crate) fn answered(&mut self, now: Timestamp) {
        self.answered += 1;
        self.response = Reply::None;
        self.idle_since = now;
        self.writing.restart(now);
    }

    /// The peer's socket takes bytes again.
    pub(crate) fn unblocked(&mut self, now: Timestamp) {
        self.writing.unblocked(now);
    }

    /// The peer's socket takes nothing more.
    pub(crate) fn write_blocked(&mut self, now: Timestamp) {
        self.writing.blocked(now);
    }

    /// The peer has taken bytes that its socket was waiting to get rid of.
    pub(crate) fn taken(&mut self, bytes: u64, now: Timestamp) {
        self.writing.taken(bytes, now);
    }

    /// The handler's time is over. Whether it has to be told: the first time only.
    pub(crate) fn expire(&mut self) -> bool {
        self.response.expire()
    }

    /// Whether the handler's time is over.
    pub(crate) fn is_expired(&self) -> bool {
        self.response.is_expired()
    }

    /// Whether the handler owes for as long as its pool says.
    pub(crate) fn owes_as_configured(&self) -> bool {
        self.response.is_configured()
    }

    /// Whether something of an answer has been handed over and not all of it has gone out: what is
    /// said now would be read as a part of it.
    pub(crate) fn is_responding(&self) -> bool {
        self.response.is_started() || self.is_writing()
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
        self.body.is_open()
    }

    /// Whether the peer's socket takes nothing more.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_blocked()
    }

    /// Whether nothing is in flight in either direction and no request has begun.
    pub(crate) fn is_idle(&self) -> bool {
        self.outstanding() == 0 && self.head_since.is_none() && !self.writing.is_blocked()
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
        // Between two requests nothing else is waited for: that is how nearly every look finds it.
        if self.heads > 0 && self.is_idle() && !self.in_body() {
            let since = Some(self.idle_since);
            return Deadline::new(Wait::NextRequest, since, Some(limits.keep_alive));
        }
        let first = (self.heads == 0).then_some(self.opened);
        let idle = self.idle_since().filter(|_| self.heads > 0);
        // Behind a request in hand a head may take its time: its judgement would be read as the
        // answer to that request.
        let head = self.head_since.filter(|_| self.outstanding() == 0);
        let head = head.map(|since| since.max(self.idle_since));
        earliest([
            Deadline::new(Wait::FirstRequest, first, Some(limits.connection)),
            Deadline::new(Wait::Head, head, Some(limits.headers)),
            self.response_deadline(limits.request),
            self.body.silence(limits, self.response.is_started()),
            self.body.slowness(limits),
            self.writing.deadline(limits),
            Deadline::new(Wait::NextRequest, idle, Some(limits.keep_alive)),
        ])
    }

    /// The part of it that is about bytes on their way to the peer.
    pub(crate) fn sending(&self, limits: &Timeouts) -> Option<Deadline> {
        self.writing.deadline(limits)
    }

    /// The handler owes from the call or the last move of the request's body, whichever is later,
    /// and never while the peer is the one who keeps it waiting.
    fn response_deadline(&self, configured: Option<Duration>) -> Option<Deadline> {
        let current = self.called == self.heads;
        if current && self.body.is_waited_for() {
            return None;
        }
        let moved = current.then(|| self.body.moved());
        self.response.deadline(moved, configured)
    }
}

#[cfg(test)]
mod tests;
