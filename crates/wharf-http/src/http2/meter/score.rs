//! [`Score`]: what a peer has done to us, against what is allowed.
//!
//! `wharf_control::TokenBucket` holds one second's worth and knows only time. These budgets hold
//! more than a second gives, and honest work earns more of them.

use wharf_control::Timestamp;

use super::abuse::Http2Abuse;
use super::allowance::Allowances;

/// The budgets of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    allowances: &'static Allowances,
    /// What is left of each, in 32nds: a rate per second flows in by each [`FLOW`].
    left: [u32; Http2Abuse::COUNT],
    /// Up to when time has flowed in, by whole [`FLOW`]s.
    refilled: Timestamp,
    standing: Standing,
}

/// How a peer stands. It only ever gets worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is nothing to say.
    Fine,
    /// Three quarters of a budget are spent: ask the peer to leave, with `NO_ERROR`.
    Warned(Http2Abuse),
    /// A budget is overdrawn: `ENHANCE_YOUR_CALM`, with the kind for debug text, and close.
    Abusive(Http2Abuse),
}

/// Parts of one: the largest budget has room in four bytes, of which every connection holds fifteen.
const UNIT: u32 = 32;

/// The part of a second in which each rate flows in whole parts, in nanoseconds.
const FLOW: u64 = 1_000_000_000 / UNIT as u64;

impl Score {
    /// Full budgets.
    pub(crate) fn new(allowances: &'static Allowances, now: Timestamp) -> Self {
        Self {
            allowances,
            left: allowances.map(|allowance| allowance.burst * UNIT),
            refilled: now,
            standing: Standing::Fine,
        }
    }

    /// How the peer stands.
    pub(crate) const fn standing(&self) -> Standing {
        self.standing
    }

    /// The kind of abuse whose budget is overdrawn.
    pub(crate) const fn abuse(&self) -> Option<Http2Abuse> {
        match self.standing {
            Standing::Abusive(kind) => Some(kind),
            Standing::Fine | Standing::Warned(_) => None,
        }
    }

    /// Lets time flow into the budgets, up to what they began with.
    #[inline]
    pub(crate) fn refill(&mut self, now: Timestamp) {
        let passed = now.as_nanos().saturating_sub(self.refilled.as_nanos());
        if passed >= FLOW {
            self.flow(passed / FLOW);
        }
    }

    /// Spends `n` of a budget.
    #[inline]
    pub(crate) fn charge(&mut self, kind: Http2Abuse, n: u32) {
        let left = &mut self.left[kind.index()];
        let after = left.checked_sub(n.saturating_mul(UNIT));
        *left = after.unwrap_or(0);
        let quarter = self.allowances[kind.index()].burst * (UNIT / 4);
        if after.is_none_or(|after| after <= quarter) {
            self.worsen(kind, after.is_none());
        }
    }

    /// Adds `n` to a budget.
    #[inline]
    pub(crate) fn earn(&mut self, kind: Http2Abuse, n: u32) {
        let most = self.allowances[kind.index()].most * UNIT;
        let left = &mut self.left[kind.index()];
        *left = left.saturating_add(n.saturating_mul(UNIT)).min(most);
    }

    #[cold]
    fn worsen(&mut self, kind: Http2Abuse, overdrawn: bool) {
        self.standing = match self.standing {
            Standing::Abusive(first) => Standing::Abusive(first),
            Standing::Fine | Standing::Warned(_) if overdrawn => Standing::Abusive(kind),
            Standing::Warned(first) => Standing::Warned(first),
            Standing::Fine => Standing::Warned(kind),
        };
    }

    fn flow(&mut self, times: u64) {
        let refilled = self.refilled.as_nanos() + times * FLOW;
        self.refilled = Timestamp::from_nanos(refilled);
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        for (left, allowance) in self.left.iter_mut().zip(self.allowances) {
            let burst = allowance.burst * UNIT;
            if *left < burst {
                let gained = times.saturating_mul(allowance.per_second);
                *left = left.saturating_add(gained).min(burst);
            }
        }
    }
}

#[cfg(test)]
mod tests;
