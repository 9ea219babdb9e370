//! Newcomers that were turned away: counted each, told at most once a second for each reason.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use wharf_control::Timestamp;

use super::{Pool, PoolInner};
use crate::RejectReason;
use crate::connection::Connection;
use crate::events::EventKind;

const EVERY: Duration = Duration::from_secs(1);

/// How many newcomers were turned away, by the place of the reason in [`RejectReason::ALL`].
#[derive(Debug, Default)]
pub(super) struct Rejections([Rejected; RejectReason::ALL.len()]);

#[derive(Clone, Copy, Debug, Default)]
struct Rejected {
    all: u64,
    untold: u64,
    told: Option<Timestamp>,
}

impl Rejections {
    fn add(&mut self, reason: RejectReason) {
        let rejected = &mut self.0[reason as usize];
        rejected.all += 1;
        rejected.untold += 1;
    }

    /// How many to tell now; `None` if there are none, or some were told less than a second ago.
    fn take_untold(&mut self, reason: RejectReason, now: Timestamp) -> Option<u64> {
        let Rejected { untold, told, .. } = &mut self.0[reason as usize];
        if *untold == 0 || told.is_some_and(|told| now.since(told) < EVERY) {
            return None;
        }
        *told = Some(now);
        Some(std::mem::take(untold))
    }

    pub(super) fn all(&self) -> u64 {
        self.0.iter().map(|rejected| rejected.all).sum()
    }

    pub(super) fn by_reason(&self) -> Vec<(RejectReason, u64)> {
        let all = self.0.iter().map(|rejected| rejected.all);
        RejectReason::ALL.iter().copied().zip(all).collect()
    }
}

impl<C: Connection> PoolInner<C> {
    pub(super) fn rejections(&self) -> MutexGuard<'_, Rejections> {
        self.rejections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Connection> Pool<C> {
    /// Counts a newcomer that was turned away, and tells it: at once, or together with others of the
    /// same reason if one was told less than a second ago.
    pub fn reject(&self, reason: RejectReason) {
        self.inner.rejections().add(reason);
        self.tell_rejected(reason);
    }

    /// Tells what is left of the rejections of the last second.
    pub(super) fn tell_all_rejected(&self) {
        for reason in RejectReason::ALL {
            self.tell_rejected(*reason);
        }
    }

    fn tell_rejected(&self, reason: RejectReason) {
        let shared = self.shared();
        let taken = self
            .inner
            .rejections()
            .take_untold(reason, shared.clock.now());
        if let Some(rejected) = taken {
            let kind = EventKind::PoolLimitReached { reason, rejected };
            shared.tell(|| (Some(self.name().clone()), kind));
        }
    }
}
