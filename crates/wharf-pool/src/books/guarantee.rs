//! Guaranteed places: what the process keeps free for pools that hold fewer than they are guaranteed.
//!
//! A pool is *short* of what it does not hold of its guarantee, and so many places of the process stay
//! free. Nothing is taken from anybody for it: only who has no claim on such a place does not get it.
//!
//! A connection may become one of a pool that it does not enter first: what it speaks is not known yet,
//! or its first request will tell. So while the pools of a listener are short, its newcomers may come in
//! on their places, *undecided*. Of what a listener's pools are short, `undecided` places are in use
//! already, and the rest is kept:
//!
//! ```text
//! held + Σ over listeners of max(0, short - undecided) <= limit
//! ```
//!
//! A newcomer is judged in the step in which it is counted, a move when its slot is taken: who comes in
//! before it is done may leave a guarantee short of one place until somebody leaves. The limit holds.

use super::account::AccountId;
use super::{Books, Path, ScopeId, ScopeKind};
use crate::config::{Count, Limit};
use crate::{DryRunReason, RejectReason};

/// On whose place a connection is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// On one of its own.
    Decided,
    /// On one that may be kept for what it is to become.
    Undecided,
}

/// What would become different at one listener.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    enters: Option<ScopeId>,
    leaves: Option<ScopeId>,
    undecided: i64,
}

/// Whether guarantees on a dry run count too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    InForce,
    All,
}

impl Books {
    /// Notes anew which pools are guaranteed anything.
    pub(super) fn note_guarantees(&mut self) {
        let guaranteed = self.ledgers.iter().filter_map(|(index, ledger)| {
            ledger.limits.guaranteed?;
            let scope = ScopeId(u32::try_from(index).ok()?);
            Some((ledger.listener()?, scope))
        });
        self.guaranteed = guaranteed.collect();
        self.guaranteed.sort_unstable();
    }

    /// Keeps no place for a pool any more.
    pub(crate) fn end_guarantee(&mut self, pool: ScopeId) {
        self.ledger(pool).limits.guaranteed = None;
        self.note_guarantees();
    }

    /// How many places of the process are kept free.
    pub(crate) fn kept(&self) -> u32 {
        self.kept_after(None, Step::default(), Which::InForce)
    }

    /// The same for a newcomer in `path`, who may have claims of his own.
    pub(crate) fn kept_from(&self, path: Path) -> u32 {
        let enters = Step::entering(path);
        self.kept_after(path.listener(), enters, Which::InForce)
    }

    /// The most that a pool can be guaranteed beside the others; `None` without a limit.
    pub(crate) fn most_guaranteed(&self, process: ScopeId, pool: ScopeId) -> Option<u32> {
        let listener = self.ledgers[pool.index()].listener()?;
        let others = |of: Option<ScopeId>| {
            let others = self
                .guaranteed
                .iter()
                .filter(|(at, it)| *it != pool && of.is_none_or(|listener| *at == listener));
            others.map(|(_, it)| self.guarantee(*it, Which::All)).sum()
        };
        let left = |scope: ScopeId, others: u32| {
            let limit = self.ledgers[scope.index()].limits.max_connections?;
            Some(limit.get().saturating_sub(others))
        };
        let in_process = left(process, others(None));
        let at_listener = left(listener, others(Some(listener)));
        in_process.into_iter().chain(at_listener).min()
    }

    /// The pools whose connections free no place by their end: it would be kept for the next of theirs.
    pub(crate) fn protected(&self, newcomer: Option<ScopeId>) -> Vec<ScopeId> {
        let holds_no_more = |pool: &ScopeId| {
            let guarantee = self.guarantee(*pool, Which::InForce);
            guarantee > 0 && self.ledgers[pool.index()].settled() <= guarantee
        };
        let others = self.guaranteed.iter().map(|(_, pool)| *pool);
        let others = others.filter(|pool| newcomer != Some(*pool));
        others.filter(holds_no_more).collect()
    }

    /// On whose place one more in `path` would come in; there is room for it otherwise.
    ///
    /// # Errors
    ///
    /// Every place that is free is kept for others.
    pub(super) fn claim_of(&self, path: Path) -> Result<Stay, RejectReason> {
        let own = if path.is_detecting() {
            Stay::Undecided
        } else {
            Stay::Decided
        };
        let Some((held, limit)) = self.guarded(path) else {
            return Ok(own);
        };
        let before = self.kept();
        let fits = |step: Step| {
            let after = self.kept_after(path.listener(), step, Which::InForce);
            after < before || held + 1 + after <= limit
        };
        let enters = Step::entering(path);
        let on_loan = Step {
            undecided: 1,
            ..Step::default()
        };
        if fits(enters) {
            Ok(own)
        } else if fits(on_loan) {
            Ok(Stay::Undecided)
        } else {
            Err(RejectReason::ProcessLimit)
        }
    }

    /// On whose place a connection would be in `pool`.
    ///
    /// # Errors
    ///
    /// The place that it has would be one that is kept for others.
    pub(super) fn claim_of_move(
        &self,
        connection: &AccountId,
        pool: ScopeId,
    ) -> Result<Stay, RejectReason> {
        let account = self.accounts.get(connection);
        let (path, was) = (account.path, account.stay);
        let Some((held, limit)) = self.guarded(path) else {
            return Ok(Stay::Decided);
        };
        let step = Step {
            enters: Some(pool),
            leaves: path.pool().filter(|_| was == Stay::Decided),
            undecided: -i64::from(was == Stay::Undecided),
        };
        let after = self.kept_after(path.listener(), step, Which::InForce);
        if after <= self.kept() || held + after <= limit {
            Ok(Stay::Decided)
        } else if was == Stay::Undecided {
            // There are as many places that are kept here as connections that are undecided.
            Ok(Stay::Undecided)
        } else {
            Err(RejectReason::ProcessLimit)
        }
    }

    /// Counts a connection in or out of those that are undecided at their listener.
    pub(super) fn count_undecided(&mut self, path: Path, stay: Stay, by: i32) {
        if stay == Stay::Decided {
            return;
        }
        for scope in [path.listener(), path.pool()].into_iter().flatten() {
            let ledger = self.ledger(scope);
            ledger.undecided = ledger.undecided.saturating_add_signed(by);
        }
    }

    /// A connection stays what it is. Whether its place is needed for those that it was kept for.
    pub(crate) fn settle(&mut self, connection: &AccountId) -> bool {
        let account = self.accounts.get_mut(connection);
        let (path, was) = (account.path, account.stay);
        account.stay = Stay::Decided;
        self.count_undecided(path, was, -1);
        was == Stay::Undecided
            && self
                .guarded(path)
                .is_some_and(|(held, limit)| held + self.kept() > limit)
    }

    /// Notes whether a guarantee on a dry run would have kept out who has just entered `path`.
    pub(super) fn rehearse_guarantees(&mut self, path: Path) {
        let rehearsed = |(_, pool): &(ScopeId, ScopeId)| {
            self.ledgers[pool.index()].rehearses(Limit::GuaranteedConnections)
        };
        if !self.guaranteed.iter().any(rehearsed) {
            return;
        }
        let Some((held, limit)) = self.guarded(path) else {
            return;
        };
        let kept = |step| self.kept_after(path.listener(), step, Which::All);
        let leaves = Step {
            leaves: path.pool(),
            ..Step::default()
        };
        let is_claimed = kept(leaves) > kept(Step::default());
        if !is_claimed && held + kept(Step::default()) > limit {
            self.rehearse(path.innermost(), DryRunReason::ProcessLimit);
        }
    }

    /// What the process holds and may hold, where anything is guaranteed and there is a limit.
    fn guarded(&self, path: Path) -> Option<(u32, u32)> {
        if self.guaranteed.is_empty() {
            return None;
        }
        let process = &self.ledgers[path.process()?.index()];
        Some((process.held(), process.in_force()?))
    }

    fn kept_after(&self, at: Option<ScopeId>, step: Step, which: Which) -> u32 {
        let by_listener = self.guaranteed.chunk_by(|(a, _), (b, _)| a == b);
        let kept = by_listener.filter_map(|pools| {
            let (listener, _) = *pools.first()?;
            let step = if at == Some(listener) {
                step
            } else {
                Step::default()
            };
            let short = pools.iter().map(|(_, pool)| self.short(*pool, step, which));
            let undecided = i64::from(self.ledgers[listener.index()].undecided) + step.undecided;
            let undecided = u32::try_from(undecided).unwrap_or(0);
            Some(short.sum::<u32>().saturating_sub(undecided))
        });
        kept.sum()
    }

    fn short(&self, pool: ScopeId, step: Step, which: Which) -> u32 {
        let counts = |it: Option<ScopeId>| u32::from(it == Some(pool));
        let holds = self.ledgers[pool.index()].settled() + counts(step.enters);
        self.guarantee(pool, which)
            .saturating_sub(holds.saturating_sub(counts(step.leaves)))
    }

    fn guarantee(&self, pool: ScopeId, which: Which) -> u32 {
        let ledger = &self.ledgers[pool.index()];
        if which == Which::InForce && ledger.rehearses(Limit::GuaranteedConnections) {
            return 0;
        }
        ledger.limits.guaranteed.map_or(0, Count::get)
    }
}

impl Step {
    fn entering(path: Path) -> Self {
        Self {
            enters: path.pool(),
            leaves: None,
            undecided: i64::from(path.is_detecting()),
        }
    }
}

impl ScopeKind {
    /// The listener of a pool.
    pub(super) fn listener(self) -> Option<ScopeId> {
        match self {
            Self::Process | Self::Listener => None,
            Self::Pool(listener) => Some(listener),
        }
    }
}
