//! [`Goodbye`]: a connection that has been asked to finish, and how long it may take.

use std::time::Duration;

use wharf_control::offset;
use wharf_pool::{CloseReason, ConnId, Timestamp};

use super::End;
use crate::context::Context;
use crate::http1::Exchange;

/// How long an idle connection is still served after it reached its age: a request may be on the
/// way, and its client deserves an answer that says `Connection: close`.
const AGE_LINGER: Duration = Duration::from_millis(1500);

/// A connection that has been asked to finish.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goodbye {
    reason: CloseReason,
    /// Until then an idle connection is still served; its next answer is its last.
    idle_until: Timestamp,
    /// One that becomes idle later is served for so long after that,
    linger: Duration,
    /// but not longer than to here.
    latest: Timestamp,
    /// Then it is cut, whatever is in flight. A drain has a deadline of its own, for all together.
    cut_at: Timestamp,
}

impl Goodbye {
    pub(super) fn new(reason: CloseReason, id: ConnId, shared: &Context, grace: Duration) -> Self {
        let now = shared.clock.now();
        let linger = if reason == CloseReason::Drained {
            shared.goodbyes.linger
        } else if reason == CloseReason::MaxAge {
            AGE_LINGER.min(grace)
        } else {
            Duration::ZERO
        };
        let cut_at = if reason == CloseReason::Drained {
            Timestamp::MAX
        } else {
            now.after(grace)
        };
        let (spread, latest) = if reason == CloseReason::Drained {
            let spread = offset(shared.goodbyes.spread, id.as_u64());
            (spread, now.after(shared.goodbyes.latest))
        } else {
            (Duration::ZERO, cut_at)
        };
        Self {
            reason,
            idle_until: now.after(linger + spread),
            linger,
            latest,
            cut_at,
        }
    }

    /// What comes next if nothing else happens, and when.
    pub(super) fn deadline(&self, exchange: &Exchange) -> Option<Parting> {
        let (at, idle) = match exchange.idle_since() {
            Some(since) => {
                let late = since.after(self.linger).min(self.latest);
                (self.idle_until.max(late), true)
            }
            // Part of a first request is no way to keep a place that somebody waits for.
            None if self.reason == CloseReason::Reclaimed && exchange.is_silent() => {
                (self.idle_until, true)
            }
            None => (self.cut_at, false),
        };
        (at != Timestamp::MAX).then_some(Parting {
            at,
            idle,
            reason: self.reason,
        })
    }
}

/// The end that a goodbye comes to if nothing else happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parting {
    pub(super) at: Timestamp,
    idle: bool,
    reason: CloseReason,
}

impl Parting {
    pub(super) fn end(self) -> End {
        if self.idle {
            End::HalfClose(self.reason)
        } else {
            End::Cut(self.reason)
        }
    }
}
