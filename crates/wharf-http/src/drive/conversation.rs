//! [`Conversation`]: what the driver needs of the protocol that a connection speaks.

use std::task::{Context, Poll};
use std::time::Duration;

use wharf_control::{Deadline, Wait};
use wharf_pool::config::Limit;
use wharf_pool::{CloseReason, Pool, Timestamp};

use crate::connection::HttpConnection;
use crate::http2::GoAway;

/// One protocol's side of a connection that is being served. The driver decides, this does.
pub(super) trait Conversation {
    /// The pool that the connection is in.
    fn pool(&self) -> &Pool<HttpConnection>;

    /// Lets the codec do what it can. Ready when it has come to an end by itself.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End>;

    /// What is to be known before anything is decided; the configuration is read again if it has
    /// changed.
    fn facts(&mut self, look: &Look) -> Facts;

    /// A wait is over: what is to be done.
    fn over(&mut self, wait: Wait) -> Judgement;

    /// Whether the limit is on a dry run. Then it holds no more for this connection: each is told of
    /// once.
    fn rehearse(&mut self, limit: Limit) -> bool;

    /// The time has come to tell the peer that no more requests are wanted, in protocols that can.
    fn say_goodbye(&mut self);

    /// How long the peer may take to end an idle connection by itself once it has been told; `None`
    /// where it cannot be told.
    fn patience(&self) -> Option<Duration>;

    /// The end that a goodbye comes to, with the last word that this protocol has for it.
    fn part(&mut self, end: End) -> End {
        end
    }

    /// Serving ends by our own decision: an answer that is not complete now will never be.
    fn give_up(&mut self);
}

/// What a conversation looks at.
#[derive(Debug)]
pub(super) struct Look {
    /// The coarse time.
    pub(super) now: Timestamp,
    /// Whether it is time to ask the kernel about a peer that takes nothing.
    pub(super) at_peer: bool,
    /// The kernel's patience with a peer that acknowledges nothing.
    pub(super) user_timeout: Option<Duration>,
}

/// What is to be known before anything is decided.
#[derive(Debug)]
pub(super) struct Facts {
    /// What has to happen at once.
    pub(super) demand: Option<Judgement>,
    /// Whether the peer's socket takes nothing.
    pub(super) blocked: bool,
    /// Whether something is in flight.
    pub(super) standing: Standing,
    /// What is waited for that is over first.
    pub(super) deadline: Option<Deadline>,
    /// The longest life of the connection.
    pub(super) max_age: Option<Duration>,
}

/// Whether something is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Something is.
    Busy,
    /// Part of a first request is here, and nothing else was ever.
    Silent,
    /// Nothing is, since then.
    Idle(Timestamp),
}

/// What the driver does next.
#[derive(Debug)]
pub(super) enum Judgement {
    /// Nothing is due: wait for bytes, a command or the wheel.
    Wait,
    /// A fact has changed that the codec or the handler has to see.
    PollAgain,
    /// The connection is to finish.
    Finish(CloseReason),
    /// The codec is to be put away until something comes.
    Park,
    /// Serving is over.
    End(End),
}

/// How serving came to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// The one reason.
    pub(super) reason: CloseReason,
    /// What remains to be said.
    pub(super) last: LastWord,
}

/// What remains to be said when the codec is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastWord {
    /// Nothing: our direction is closed, and the peer has so long to close its own.
    Nothing { linger: Duration },
    /// A last answer.
    Answer(Answer),
    /// A last frame.
    GoAway(GoAway),
    /// Nothing, and there is nobody to wait for.
    Gone,
    /// Nothing, and what the peer has not taken is thrown away.
    Cut,
    /// Nothing yet: the bytes belong to another protocol now.
    Upgraded,
    /// Nothing: the connection goes on without a codec.
    Parked,
}

/// The last answer on an HTTP/1 connection, which no handler makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) why: &'static str,
    pub(super) reason: CloseReason,
}

/// For a peer that may still be sending the body of a request that we have answered.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// For a peer that owes nothing: only a request that crossed our goodbye can come.
const LINGER_IDLE: Duration = Duration::from_millis(200);

/// For a peer whose place somebody waits for.
const LINGER_RECLAIMED: Duration = Duration::from_millis(50);

impl End {
    /// No more is said.
    pub(super) fn cut(reason: CloseReason) -> Self {
        Self {
            reason,
            last: LastWord::Cut,
        }
    }

    /// The connection is idle, and its codec is put away.
    pub(super) fn parked() -> Self {
        Self {
            // It ends nothing.
            reason: CloseReason::Completed,
            last: LastWord::Parked,
        }
    }

    /// Nothing is in flight, and our direction is to be closed.
    pub(super) fn half_close(reason: CloseReason) -> Self {
        let linger = if reason == CloseReason::Reclaimed {
            LINGER_RECLAIMED
        } else {
            LINGER_IDLE
        };
        Self {
            reason,
            last: LastWord::Nothing { linger },
        }
    }

    /// The peer has broken a rule, or was late, and is told so.
    pub(super) fn answer(answer: Answer) -> Self {
        Self {
            reason: answer.reason,
            last: LastWord::Answer(answer),
        }
    }
}
