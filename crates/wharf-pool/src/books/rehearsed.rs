//! [`Rehearsed`]: what limits on a dry run would have done in one scope.

use super::{Books, ScopeId};
use crate::DryRunReason;

const REASONS: usize = DryRunReason::ALL.len();

/// How often each limit would have acted, by the place of the reason in [`DryRunReason::ALL`]. Most
/// scopes never have any.
#[derive(Debug, Default)]
pub(super) struct Rehearsed(Option<Box<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: [u64; REASONS],
    told: [u64; REASONS],
}

impl Rehearsed {
    pub(super) fn add(&mut self, reason: DryRunReason) {
        self.0.get_or_insert_default().all[reason as usize] += 1;
    }

    /// Since start; every reason is there.
    pub(super) fn by_reason(&self) -> Vec<(DryRunReason, u64)> {
        let all = self.0.as_ref().map_or([0; REASONS], |counts| counts.all);
        DryRunReason::ALL.iter().copied().zip(all).collect()
    }

    /// What is new since this was asked last.
    pub(super) fn take_untold(&mut self) -> Vec<(DryRunReason, u64)> {
        let Some(counts) = &mut self.0 else {
            return Vec::new();
        };
        let new = counts
            .all
            .iter()
            .zip(&counts.told)
            .map(|(all, told)| all - told);
        let new = DryRunReason::ALL.iter().copied().zip(new);
        let new = new.filter(|(_, n)| *n > 0).collect();
        counts.told = counts.all;
        new
    }
}

impl Books {
    /// What limits on a dry run would have done in a pool, or in detection at a listener.
    pub(crate) fn rehearsed(&self, scope: ScopeId) -> Vec<(DryRunReason, u64)> {
        self.ledgers[scope.index()].rehearsed.by_reason()
    }

    /// What of that is new since this was asked last.
    pub(crate) fn take_untold(&mut self, scope: ScopeId) -> Vec<(DryRunReason, u64)> {
        self.ledger(scope).rehearsed.take_untold()
    }

    /// Notes what a limit on a dry run would have done to a connection in this scope.
    pub(crate) fn rehearse(&mut self, scope: ScopeId, reason: DryRunReason) {
        self.ledger(scope).rehearsed.add(reason);
    }

    /// Notes which of the limits of `scopes` that are on a dry run would have kept out who has just
    /// come in.
    pub(super) fn rehearse_limits(&mut self, scopes: &[ScopeId], innermost: ScopeId) {
        for scope in scopes {
            if let Some(reason) = self.ledgers[scope.index()].objects() {
                self.rehearse(innermost, reason);
            }
        }
    }

    /// Notes which of the limits of `scopes` on sources that are on a dry run would have kept out who
    /// has just come in: shares, rates.
    pub(super) fn rehearse_source(&mut self, scopes: &[ScopeId], over: [bool; 2]) {
        let Some(innermost) = scopes.last() else {
            return;
        };
        for (reason, over) in [DryRunReason::IpLimit, DryRunReason::Rate]
            .into_iter()
            .zip(over)
        {
            if over {
                self.rehearse(*innermost, reason);
            }
        }
    }
}
