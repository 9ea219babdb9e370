//! [`Stream`]: who owes whom what, on one HTTP/2 stream.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use h2::Reason;
use wharf_control::{Deadline, Timestamp, Wait, earliest};
use wharf_pool::CloseReason;

use super::request::Kind;
use super::streams::Streams;
use crate::grpc::{Call, Code, Status};
use crate::waits::{Receiving, Reply, Sending, Timeouts};

/// What is known of one stream, by its task, which serves it, and by the driver, which times it.
#[derive(Debug)]
pub(crate) struct Stream {
    facts: Mutex<Facts>,
    streams: Arc<Streams>,
}

#[derive(Debug)]
struct Facts {
    receiving: Receiving,
    reply: Reply,
    sending: Sending,
    /// Whether the minimum rates apply: not where a peer may be as slow as it likes.
    paced: bool,
    /// The gRPC call that is made on it, and when its time is over.
    call: Option<(Call, Option<Timestamp>)>,
    /// The WebSocket session that it has become.
    session: Option<Box<Watched>>,
    /// It is not to be there longer: what becomes of it is not ours to time otherwise.
    until: Option<Timestamp>,
    /// The code to reset it with: its task is to end.
    aborted: Option<Reason>,
    waker: Option<Waker>,
}

/// A session, as far as the driver and its own task tell each other.
#[derive(Debug, Default)]
struct Watched {
    /// What it waits for that is over first.
    due: Option<Deadline>,
    news: News,
}

/// What the task of a session has to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// The wait that is over.
    pub(super) over: Option<Wait>,
    /// Why the connection is to finish.
    pub(super) told: Option<CloseReason>,
}

impl Stream {
    pub(super) fn new(streams: Arc<Streams>, body: bool, kind: Kind, now: Timestamp) -> Self {
        Self {
            facts: Mutex::new(Facts {
                receiving: Receiving::new(body, now),
                reply: Reply::owed(now),
                sending: Sending::default(),
                paced: kind.is_paced(),
                call: None,
                session: None,
                until: None,
                aborted: None,
                waker: None,
            }),
            streams,
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        // Nothing panics under this lock but a waker, and the facts are whole at any time.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the request's body are here, perhaps the last.
    pub(super) fn received(&self, payload: usize, end: bool, now: Timestamp) {
        self.facts().receiving.received(payload as u64, end, now);
    }

    /// The application waits for the request's body.
    pub(super) fn awaits_body(&self, now: Timestamp) {
        self.facts().receiving.blocked(now);
    }

    /// The application does not want the rest of the request's body.
    pub(super) fn body_abandoned(&self) {
        self.facts().receiving.abandoned();
    }

    /// Whether the application still wants more of the request's body than has come.
    pub(super) fn wants_body(&self) -> bool {
        self.facts().receiving.is_open()
    }

    /// The head of the answer is there.
    pub(super) fn responded(&self) {
        self.facts().reply = Reply::Started;
    }

    /// The peer has no room for more of the answer, after so many bytes since it had none before.
    pub(super) fn blocked(&self, passed: u64, now: Timestamp) {
        let mut facts = self.facts();
        facts.sending.blocked(now);
        facts.sending.taken(passed, now);
    }

    /// The peer has made room. How much, shows when there is none again: the codec tells of no more
    /// than was asked for.
    pub(super) fn unblocked(&self, now: Timestamp) {
        self.facts().sending.unblocked(now);
    }

    /// It is a gRPC call, which may take so long as a whole: then it is that which its handler owes
    /// by, and not `request_timeout`.
    pub(super) fn is_call(&self, call: Call, allowed: Option<Duration>, now: Timestamp) {
        let until = allowed.map(|allowed| now.after(allowed));
        let mut facts = self.facts();
        facts.call = Some((call, until));
        if let Some(until) = until {
            facts.reply.limit(None);
            drop(facts);
            self.streams.look_by(until);
        }
    }

    /// It has become a session, whose own task ends it.
    pub(super) fn is_session(&self) {
        self.facts().session = Some(Box::default());
    }

    /// Whether it has become one.
    pub(super) fn has_session(&self) -> bool {
        self.facts().session.is_some()
    }

    /// It lives until then at most.
    pub(super) fn live_until(&self, at: Timestamp) {
        self.facts().until = Some(at);
        self.streams.look_by(at);
    }

    /// What the session's task has not heard yet.
    pub(super) fn news(&self) -> News {
        let mut facts = self.facts();
        let session = facts.session.as_mut();
        session
            .map(|session| std::mem::take(&mut session.news))
            .unwrap_or_default()
    }

    /// What the session waits for now. Whether the driver has to be woken for it: it looks later.
    pub(super) fn session_waits(&self, due: Option<Deadline>) -> bool {
        let mut facts = self.facts();
        let Some(session) = &mut facts.session else {
            return false;
        };
        if session.due == due {
            return false;
        }
        session.due = due;
        drop(facts);
        due.is_some_and(|due| self.streams.look_by(due.at))
    }

    /// The connection is to finish.
    pub(super) fn say_goodbye(&self, reason: CloseReason) {
        let mut facts = self.facts();
        let Some(session) = &mut facts.session else {
            return;
        };
        session.news.told = Some(reason);
        let waker = facts.waker.clone();
        drop(facts);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Lets the stream's task look again.
    pub(super) fn wake(&self) {
        let waker = self.facts().waker.clone();
        waker.into_iter().for_each(Waker::wake);
    }

    /// The connection as a whole was held up: this stream is not to blame.
    pub(super) fn excuse(&self, now: Timestamp) {
        self.facts().sending.excuse(now);
    }

    /// The request has a limit of its own.
    pub(crate) fn limit_response(&self, own: Option<Duration>) {
        self.facts().reply.limit(own);
        self.streams.look_soon();
    }

    /// Whether the handler's time is over.
    pub(super) fn is_expired(&self) -> bool {
        self.facts().reply.is_expired()
    }

    /// The code that the stream is to be reset with, if it is.
    pub(super) fn aborted(&self) -> Option<Reason> {
        self.facts().aborted
    }

    /// Lets the driver wake the stream's task.
    pub(super) fn register(&self, cx: &Context<'_>) {
        let mut facts = self.facts();
        match &mut facts.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
    }

    /// Tells the stream's task to end; the first code holds.
    pub(crate) fn abort(&self, code: Reason) {
        let waker = {
            let mut facts = self.facts();
            facts.aborted.get_or_insert(code);
            facts.waker.clone()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// What is waited for that is over first.
    pub(super) fn deadline(&self, limits: &Timeouts) -> Option<Deadline> {
        let facts = self.facts();
        let has_heard = |session: &Watched| session.news.over.is_some();
        if facts.aborted.is_some() || facts.session.as_deref().is_some_and(has_heard) {
            // What its task has been told need not be said again.
            return None;
        }
        let limits = Timeouts {
            min_rate: limits.min_rate.filter(|_| facts.paced),
            ..*limits
        };
        let moved = facts.receiving.moved();
        let owed = (!facts.receiving.is_waited_for())
            .then(|| facts.reply.deadline(Some(moved), limits.request))
            .flatten();
        let call = facts.call.as_ref().and_then(|(_, until)| *until);
        earliest([
            owed,
            call.and_then(|until| Deadline::at(Wait::Response, until)),
            facts.receiving.silence(&limits, facts.reply.is_started()),
            facts.receiving.slowness(&limits),
            facts.sending.deadline(&limits),
            facts
                .until
                .and_then(|until| Deadline::at(Wait::Acknowledgement, until)),
            facts.session.as_ref().and_then(|session| session.due),
        ])
    }

    /// Whether the handler owes for as long as its pool says, and not by a limit of its request or
    /// call.
    pub(super) fn owes_as_configured(&self) -> bool {
        self.facts().reply.is_configured()
    }

    /// A wait is over: the handler, or the call, is told to end, or the stream ends.
    pub(super) fn over(&self, wait: Wait, now: Timestamp) {
        let mut facts = self.facts();
        if let Some(session) = &mut facts.session {
            session.due = None;
            session.news.over = Some(wait);
            let waker = facts.waker.clone();
            drop(facts);
            return waker.into_iter().for_each(Waker::wake);
        }
        if wait != Wait::Response {
            drop(facts);
            return self.abort(Reason::CANCEL);
        }
        let told = match &mut facts.call {
            Some((call, until)) => {
                let told = call.cut(Status::new(
                    Code::DeadlineExceeded,
                    "the call took too long",
                ));
                // A service that does not hear of it is ended without it.
                *until = told.then(|| now.after(AFTER_CUT));
                told | facts.reply.expire()
            }
            None => facts.reply.expire(),
        };
        let waker = facts.waker.clone();
        drop(facts);
        if told {
            waker.into_iter().for_each(Waker::wake);
        } else {
            self.abort(Reason::CANCEL);
        }
    }
}

/// How long a service may take to end a call whose time is over.
const AFTER_CUT: Duration = Duration::from_secs(1);
