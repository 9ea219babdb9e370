//! [`RetryBudget`]: retries that cannot double an overload.

use crate::{SlidingWindow, Timestamp};

/// In any 10 s, retries for a tenth of the requests and 30 more (3 a second).
///
/// A limit on the attempts of each request multiplies load when everything fails; a budget bounds what all
/// together may add. The tenth is that of Google's SRE book, the allowance for those with few requests
/// finagle's.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    requests: SlidingWindow<10>,
    retries: SlidingWindow<10>,
}

impl RetryBudget {
    /// One retry for so many requests: 10.
    pub const REQUESTS_PER_RETRY: u64 = 10;
    /// Retries in 10 s beside those.
    pub const ALLOWANCE: u64 = 30;

    /// A budget of which nothing is spent.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            requests: SlidingWindow::new(now),
            retries: SlidingWindow::new(now),
        }
    }

    /// A request, not counting its retries.
    pub fn on_request(&mut self, now: Timestamp) {
        self.requests.add(1, now);
    }

    /// Takes a retry, if there is one left.
    pub fn try_retry(&mut self, now: Timestamp) -> bool {
        let earned = self.requests.total(now) / Self::REQUESTS_PER_RETRY;
        let may = self.retries.total(now) < earned + Self::ALLOWANCE;
        if may {
            self.retries.add(1, now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::RetryBudget;
    use crate::Timestamp;

    #[test]
    fn when_everything_fails_a_tenth_and_a_few_are_retried() {
        let mut budget = RetryBudget::new(Timestamp::ZERO);
        let mut retried = 0;
        for tick in 0..60_000_u64 {
            let now = Timestamp::after_start(Duration::from_millis(tick));
            budget.on_request(now);
            retried += u32::from(budget.try_retry(now));
        }
        // 60,000 requests in 60 s: 6,000 and 3 a second, and the window's first ten seconds.
        assert!((5_900..=6_240).contains(&retried), "{retried}");
    }

    #[test]
    fn who_asks_seldom_may_retry_too() {
        let mut budget = RetryBudget::new(Timestamp::ZERO);
        budget.on_request(Timestamp::ZERO);
        assert_eq!(
            (0..100)
                .filter(|_| budget.try_retry(Timestamp::ZERO))
                .count(),
            30
        );
        let later = Timestamp::after_start(Duration::from_secs(10));
        assert!(budget.try_retry(later));
    }
}
