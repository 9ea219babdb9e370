//! Whose turn it is for a connection.

use std::time::Duration;

use wharf_control::Timestamp;
use wharf_control::upstream::{CodelSettings, Fate, Waiters};
use wharf_pool::config::PoolConfig;

use super::{Ledger, Waiter};
use crate::endpoint::LeaseError;
use crate::endpoint::links::Loan;
use crate::settings::PoolSettings;

/// Somebody's turn.
pub(in crate::endpoint) struct Turn {
    pub(in crate::endpoint) waiter: Waiter,
    pub(in crate::endpoint) granted: Result<Grant, LeaseError>,
}

/// What there is to give.
pub(in crate::endpoint) enum Grant {
    Loan(Loan),
    /// The right to make a connection, counted as connecting.
    Room,
}

/// What somebody needs, and so where he stands in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::endpoint) enum Need {
    /// Any connection.
    Any,
    /// One of HTTP/1, where others may be of HTTP/2.
    Http1,
}

impl Ledger {
    /// What can be given at once to whoever does not wait.
    pub(in crate::endpoint) fn take(&mut self, need: Need) -> Option<Loan> {
        match need {
            Need::Any => self.links.take(),
            Need::Http1 => self.links.take_http1(),
        }
    }

    /// Those who wait for the same.
    pub(in crate::endpoint) fn line(&mut self, need: Need) -> &mut Waiters<Waiter> {
        match need {
            Need::Any => &mut self.waiters,
            Need::Http1 => &mut self.upgrades,
        }
    }

    /// Takes the lengths of the lines as they are in force.
    pub(in crate::endpoint) fn heed(&mut self, settings: &PoolConfig<PoolSettings>) {
        let most = settings.protocol.max_waiting.get() as usize;
        self.waiters.set(most, codel(settings));
        self.upgrades.set(most, codel(settings));
    }

    /// Whether anybody waits.
    pub(in crate::endpoint) fn is_waited_for(&self) -> bool {
        !(self.waiters.is_empty() && self.upgrades.is_empty())
    }

    /// Whose turn it is, if there is something to give.
    pub(in crate::endpoint) fn turn(
        &mut self,
        settings: &PoolConfig<PoolSettings>,
        now: Timestamp,
    ) -> Option<Turn> {
        let turn = self.turn_of(Need::Any, settings, now);
        turn.or_else(|| self.turn_of(Need::Http1, settings, now))
    }

    fn turn_of(
        &mut self,
        need: Need,
        settings: &PoolConfig<PoolSettings>,
        now: Timestamp,
    ) -> Option<Turn> {
        if self.line(need).is_empty() {
            return None;
        }
        let grant = match self.take(need) {
            Some(loan) => Grant::Loan(loan),
            // Nobody else makes one of that version.
            None if need == Need::Http1 && self.take_room(settings) => Grant::Room,
            None => return None,
        };
        let Some((waiter, fate)) = self.line(need).next(Duration::ZERO, now) else {
            self.take_back(&grant);
            return None;
        };
        let refused = match fate {
            Fate::Serve => {
                let granted = Ok(grant);
                return Some(Turn { waiter, granted });
            }
            Fate::TooLate => LeaseError::Timeout,
            Fate::Shed => LeaseError::Shed,
        };
        self.take_back(&grant);
        let granted = Err(refused);
        Some(Turn { waiter, granted })
    }

    fn take_back(&mut self, grant: &Grant) {
        match grant {
            Grant::Loan(loan) => self.links.give_back(loan.id),
            Grant::Room => self.connecting = self.connecting.saturating_sub(1),
        }
    }

    /// Those who have nothing left to wait for, since no connection could be made and none is there.
    pub(in crate::endpoint) fn hopeless(&mut self, now: Timestamp) -> Vec<Waiter> {
        if self.open > 0 || self.connecting > 0 {
            return Vec::new();
        }
        let all = std::iter::from_fn(|| self.waiters.next(Duration::ZERO, now));
        all.map(|(waiter, _)| waiter).collect()
    }
}

/// When a queue stands: while even the shortest wait is over a tenth of the longest allowed. The law's own 5 ms
/// would shed whoever comes while the first connection is made.
pub(super) fn codel(settings: &PoolConfig<PoolSettings>) -> CodelSettings {
    let longest = settings.protocol.wait_timeout;
    CodelSettings {
        target: longest / 10,
        interval: longest / 5,
    }
}
