//! [`Goodbye`]: a connection that has been asked to finish, and how long it may take.

use std::time::Duration;

use wharf_control::offset;
use wharf_pool::{CloseReason, ConnId, Timestamp};

use super::conversation::{End, Standing};
use crate::context::Context;
use crate::drain::is_drain;

/// How long an idle connection is still served after it reached its age: a request may be on the
/// way, and its client deserves an answer that says `Connection: close`.
const AGE_LINGER: Duration = Duration::from_millis(1500);

/// A connection that has been asked to finish.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goodbye {
    reason: CloseReason,
    /// When it is said, in protocols that have a word for it.
    say_at: Timestamp,
    said: bool,
    /// Until then an idle connection is still served; its next answer is its last.
    idle_until: Timestamp,
    /// One that becomes idle later is served for so long after that,
    linger: Duration,
    /// but not longer than to here.
    latest: Timestamp,
    /// Then it is cut, whatever is in flight. A drain has a deadline of its own, for all together; what is in flight
    /// for want of memory has those that it had before.
    cut_at: Timestamp,
}

impl Goodbye {
    pub(super) fn new(reason: CloseReason, id: ConnId, shared: &Context, grace: Duration) -> Self {
        let now = shared.clock.now();
        let drain = is_drain(reason).then(|| shared.drain.goodbyes());
        let linger = if let Some(drain) = drain {
            drain.linger
        } else if reason == CloseReason::MaxAge {
            AGE_LINGER.min(grace)
        } else {
            Duration::ZERO
        };
        let cut_at = if drain.is_some() || reason == CloseReason::Pressure {
            Timestamp::MAX
        } else {
            now.after(grace)
        };
        let (spread, latest) = match drain {
            Some(drain) => (offset(drain.spread, id.as_u64()), now.after(drain.latest)),
            None => (Duration::ZERO, cut_at),
        };
        Self {
            reason,
            say_at: now.after(spread),
            said: false,
            idle_until: now.after(linger + spread),
            linger,
            latest,
            cut_at,
        }
    }

    /// Whether it is time to say it; true once.
    pub(super) fn is_to_be_said(&mut self, now: Timestamp) -> bool {
        let due = !self.said && self.say_at <= now;
        self.said |= due;
        due
    }

    /// What comes next if nothing else happens, and when. A peer that can be told has `patience` from
    /// then on to end an idle connection by itself; one that cannot is served until it has had its
    /// linger.
    pub(super) fn deadline(
        &self,
        standing: &Standing,
        patience: Option<Duration>,
    ) -> Option<Parting> {
        let (at, idle) = match (*standing, patience) {
            (_, Some(_)) if !self.said => (self.say_at, true),
            (Standing::Idle(since), Some(patience)) => {
                (self.say_at.max(since).after(patience), true)
            }
            (Standing::Idle(since), None) => {
                let late = since.after(self.linger).min(self.latest);
                (self.idle_until.max(late), true)
            }
            // Who has not even greeted is not waited for longer than for a first request.
            (Standing::Silent, Some(_)) => (self.idle_until, true),
            // Part of a first request is no way to keep a place that somebody waits for.
            (Standing::Silent, None)
                if matches!(self.reason, CloseReason::Reclaimed | CloseReason::Pressure) =>
            {
                (self.idle_until, true)
            }
            (Standing::Silent | Standing::Busy, _) => (self.cut_at, false),
        };
        let said = self.said || patience.is_none();
        let end = said.then(|| {
            if idle {
                End::half_close(self.reason)
            } else {
                End::cut(self.reason)
            }
        });
        (at != Timestamp::MAX).then_some(Parting { at, end })
    }
}

/// What comes next in a goodbye, and when: its end, or the saying of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parting {
    pub(super) at: Timestamp,
    end: Option<End>,
}

impl Parting {
    /// The end, if it has come. What has not been said yet ends nothing.
    pub(super) fn end(&self, now: Timestamp) -> Option<End> {
        self.end.filter(|_| self.at <= now)
    }
}
