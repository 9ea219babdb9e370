//! The driver: one function serves a connection from its first byte to its last.
//!
//! It is the only place that knows the order: who is there, what is spoken, serve, be told to finish,
//! say goodbye, wait, cut. It alone reads commands, deadlines and the changed configuration, and it
//! alone decides for which reason a connection ends. What differs from protocol to protocol is a
//! [`Conversation`].

mod conversation;
mod farewell;
mod goodbye;
mod http1;
mod http2;
mod life;
mod tunnel;
mod version;
mod websocket;

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use wharf_control::{Deadline, jittered};
use wharf_pool::config::Limit;
use wharf_pool::{
    CloseReason, Command, ConnectionHandle, DryRunReason, Pool, TICK, Timestamp, Tracked,
};

use crate::app::App;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::transport::Transport;
use crate::waits::limit_of;
use conversation::{Conversation, End, Judgement, Look};
use goodbye::Goodbye;
pub(crate) use life::Life;
use life::Part;
use version::{Opened, Spoken, Version};

/// One poll in so many is timed, for the processor share of a pool.
const SAMPLE: u32 = 64;

/// How long a connection is idle before what only requests need is put away: one that asks again and
/// again keeps it. To make HTTP/1's codec costs a tenth of a request.
const REST: Duration = TICK;

/// Serves one connection to its end.
///
/// # Cancel safety
///
/// Dropped, the connection is cut: its slot is given back with its bytes.
pub(crate) fn drive<T, S>(io: Tracked<T, HttpConnection>, app: S, shared: Arc<Context>) -> Life
where
    T: Transport,
    S: App,
{
    match shared.lame.for_newcomers() {
        Some(Command::Abort(reason)) => io.handle().abort(reason),
        Some(command) => io.handle().begin_close(command.reason()),
        None => {}
    }
    Life::new(Part::new(async move {
        match version::open(io, Arc::clone(&shared)).await? {
            Spoken::Plain(opened) => Some(serve(opened, app, shared)),
            Spoken::Secured(opened) => Some(serve(opened, app, shared)),
        }
    }))
}

fn serve<T, S>(opened: Opened<T>, app: S, shared: Arc<Context>) -> Part
where
    T: Transport,
    S: App,
{
    match opened.version {
        Version::Http1 => Part::new(http1::serve(opened, app, shared)),
        Version::Http2 => Part::new(http2::serve(opened, app, shared)),
    }
}

/// Names the reason when the application panics where nobody catches it, such as in the drop of a
/// body: the wire, which counts the end, is dropped after this.
struct Fuse<'a>(&'a ConnectionHandle<HttpConnection>);

impl Drop for Fuse<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(connection = %self.0.id(), "a panic ends the connection");
            self.0.conclude(CloseReason::Panic);
        }
    }
}

/// The state of the driver of one connection.
struct Driver<'a> {
    handle: &'a ConnectionHandle<HttpConnection>,
    shared: &'a Context,
    goodbye: Option<Box<Goodbye>>,
    /// The deadline that the wheel knows.
    armed: Timestamp,
    /// When a peer that takes nothing was last looked at.
    looked: Timestamp,
    waker: Option<Waker>,
    polls: u32,
}

impl<'a> Driver<'a> {
    fn new(handle: &'a ConnectionHandle<HttpConnection>, shared: &'a Context) -> Self {
        let armed = Timestamp::MAX;
        Self {
            handle,
            shared,
            goodbye: None,
            armed,
            looked: Timestamp::ZERO,
            waker: None,
            polls: 0,
        }
    }

    fn poll<C>(&mut self, cx: &mut TaskContext<'_>, talk: &mut C) -> Poll<End>
    where
        C: Conversation,
    {
        self.register(cx);
        loop {
            if let Some(end) = self.heed_command(talk.pool()) {
                talk.give_up();
                return Poll::Ready(end);
            }
            if let Poll::Ready(end) = self.timed(talk, |talk| talk.poll(cx)) {
                return Poll::Ready(end);
            }
            match self.judge(talk) {
                Judgement::Wait => return Poll::Pending,
                Judgement::PollAgain => {}
                Judgement::Park => return Poll::Ready(End::parked()),
                Judgement::Finish(reason) => self.handle.begin_close(reason),
                Judgement::End(end) => {
                    talk.give_up();
                    return Poll::Ready(end);
                }
            }
        }
    }

    /// Lets commands and the wheel wake this task. Its waker stays the same while it runs on one
    /// runtime, so this is a comparison on every poll but the first.
    fn register(&mut self, cx: &TaskContext<'_>) {
        if !self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            self.waker = Some(cx.waker().clone());
            self.handle.control().register(cx);
        }
    }

    fn timed<C: Conversation, R>(&mut self, talk: &mut C, poll: impl FnOnce(&mut C) -> R) -> R {
        self.polls = self.polls.wrapping_add(1);
        if !self.polls.is_multiple_of(SAMPLE) {
            return poll(talk);
        }
        let begun = Instant::now();
        let result = poll(talk);
        talk.pool().busy(begun.elapsed() * SAMPLE);
        result
    }

    fn heed_command(&mut self, pool: &Pool<HttpConnection>) -> Option<End> {
        let command = self.handle.command()?;
        if let Command::Abort(reason) = command {
            return Some(End::cut(reason));
        }
        if self.goodbye.is_none() {
            let grace = pool.config().common.max_age_grace;
            let reason = command.reason();
            let goodbye = Goodbye::new(reason, self.handle.id(), self.shared, grace);
            self.goodbye = Some(Box::new(goodbye));
        }
        None
    }

    /// What the facts demand, now that the codec has done what it could.
    fn judge<C: Conversation>(&mut self, talk: &mut C) -> Judgement {
        let now = self.shared.clock.now();
        let look = Look {
            now,
            // Once a tick: a large download blocks and goes on thousands of times a second.
            at_peer: self.looked != now,
            user_timeout: self.shared.user_timeout,
        };
        let facts = talk.facts(&look);
        if facts.blocked {
            self.looked = now;
        }
        // Who has been asked to finish is not asked again: that would go on without an end.
        let is_news = |judgement: &Judgement, asked: bool| {
            !(asked && matches!(judgement, Judgement::Finish(_)))
        };
        let asked = self.goodbye.is_some();
        if let Some(judgement) = facts.demand.filter(|it| is_news(it, asked)) {
            return judgement;
        }
        // What a deadline counts from may be a tick older than the coarse clock says.
        let past = |at: Timestamp| at.after(TICK) <= now;
        let age = self.age_deadline(facts.max_age);
        if age.is_some_and(past) {
            if self.rehearses(talk, Some((Limit::MaxAge, DryRunReason::MaxAge))) {
                return Judgement::PollAgain;
            }
            return Judgement::Finish(CloseReason::MaxAge);
        }
        let parting = match &mut self.goodbye {
            Some(goodbye) => {
                if goodbye.is_to_be_said(now) {
                    talk.say_goodbye();
                    return Judgement::PollAgain;
                }
                goodbye.deadline(&facts.standing, talk.patience())
            }
            None => None,
        };
        if let Some(end) = parting.and_then(|parting| parting.end(now)) {
            return Judgement::End(talk.part(end));
        }
        if let Some(due) = facts.deadline.filter(|deadline| past(deadline.at)) {
            if self.rehearses(talk, limit_of(due.wait)) {
                return Judgement::PollAgain;
            }
            let judgement = talk.over(due.wait);
            if is_news(&judgement, asked) {
                return judgement;
            }
        }
        let next = [
            age,
            parting.map(|parting| parting.at),
            facts.deadline.map(|deadline: Deadline| deadline.at),
        ];
        let next = next.into_iter().flatten().min().unwrap_or(Timestamp::MAX);
        if facts.blocked {
            // While the peer takes nothing, it is looked at with every turn of the wheel.
            self.armed = Timestamp::ZERO;
            self.handle.set_deadline(Timestamp::ZERO);
        } else if next != self.armed {
            self.armed = next;
            self.handle.set_deadline(next);
        }
        Judgement::Wait
    }

    /// Whether the limit that is over is on a dry run: then that is told, and nothing else happens.
    fn rehearses<C: Conversation>(
        &self,
        talk: &mut C,
        limit: Option<(Limit, DryRunReason)>,
    ) -> bool {
        let rehearsed = limit.filter(|(limit, _)| talk.rehearse(*limit));
        if let Some((_, reason)) = rehearsed {
            self.handle.would_close(reason);
        }
        rehearsed.is_some()
    }

    /// When the connection is asked to finish for its age; never, once it has been asked.
    fn age_deadline(&self, max_age: Option<Duration>) -> Option<Timestamp> {
        let max_age = max_age.filter(|_| self.goodbye.is_none())?;
        Some(
            self.handle
                .opened()
                .after(jittered(max_age, 0.1, self.handle.id().as_u64())),
        )
    }
}

#[cfg(test)]
mod tests;
