//! [`Flow`]: what has come into a scope and what has become of it.

use std::time::Duration;

use crate::CloseReason;

/// Connections since start: `accepted` = those that are there + `moved` + all `closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Entered, at their accept or by a move.
    pub(crate) accepted: u64,
    /// Went on to another scope.
    pub(crate) moved: u64,
    /// Ended, by the place of the reason in [`CloseReason::ALL`].
    closed: [u64; CloseReason::ALL.len()],
    /// The lives of those that ended, added up.
    pub(crate) lifetime: Duration,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            accepted: 0,
            moved: 0,
            closed: [0; CloseReason::ALL.len()],
            lifetime: Duration::ZERO,
        }
    }
}

impl Flow {
    pub(super) fn close(&mut self, reason: CloseReason, age: Duration) {
        self.closed[reason as usize] += 1;
        self.lifetime = self.lifetime.saturating_add(age);
    }

    pub(crate) fn closed_by_reason(&self) -> Vec<(CloseReason, u64)> {
        CloseReason::ALL.iter().copied().zip(self.closed).collect()
    }
}
