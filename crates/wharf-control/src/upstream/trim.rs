//! [`Trim`]: how many idle connections to close.

use std::time::Duration;

use super::PoolUse;
use crate::rounding::ceil;
use crate::{Timestamp, jittered};

/// `HAProxy`'s trimming of idle connections: every 5 s (±10 %) half of what is more than needed.
///
/// `need = ratio · max(peak, estimate)`, where `peak` is the most that were in use since the last look, and
/// the estimate follows it: `estimate = max((estimate + peak) / 2, peak)`, up at once and down by half. Closed
/// are `ceil((total - need) / 2)`, so a pool comes down over several looks and keeps what a burst that
/// comes again would need.
#[derive(Clone, Debug)]
pub struct Trim {
    peak: u32,
    estimate: f64,
    next: Timestamp,
    seed: u64,
}

impl Trim {
    /// Between two looks.
    pub const INTERVAL: Duration = Duration::from_secs(5);
    const JITTER: f64 = 0.1;

    /// A first look is taken about 5 s from now. `seed` is the pool's own, so that not all look at once.
    pub fn new(seed: u64, now: Timestamp) -> Self {
        Self {
            peak: 0,
            estimate: 0.0,
            next: now.after(jittered(Self::INTERVAL, Self::JITTER, seed)),
            seed,
        }
    }

    /// So many are in use: to be told whenever it grows.
    pub const fn in_use(&mut self, in_use: u32) {
        if in_use > self.peak {
            self.peak = in_use;
        }
    }

    /// When there is something to do next.
    pub const fn next(&self) -> Timestamp {
        self.next
    }

    /// How many to close, those that have been idle longest; zero before [`next`](Self::next).
    ///
    /// `least` is how many the pool keeps in any case; `ratio` is how much more than was used it is to hold.
    pub fn excess(&mut self, pool: PoolUse, least: u32, ratio: f64, now: Timestamp) -> u32 {
        if now < self.next {
            return 0;
        }
        self.in_use(pool.in_use);
        let peak = f64::from(self.peak);
        let need = ceil(ratio * peak.max(self.estimate));
        self.estimate = f64::midpoint(self.estimate, peak).max(peak);
        self.peak = pool.in_use;
        self.seed = self.seed.wrapping_add(1);
        self.next = now.after(jittered(Self::INTERVAL, Self::JITTER, self.seed));

        let total = pool.connections();
        let half = total.saturating_sub(need).div_ceil(2);
        half.min(pool.idle).min(total.saturating_sub(least))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Trim;
    use crate::Timestamp;
    use crate::upstream::PoolUse;

    fn pool(in_use: u32, idle: u32) -> PoolUse {
        PoolUse {
            in_use,
            idle,
            ..PoolUse::default()
        }
    }

    #[test]
    fn a_burst_is_remembered_and_forgotten_by_halves() {
        let mut trim = Trim::new(1, Timestamp::ZERO);
        trim.in_use(80);
        let mut total = 88;
        let mut kept = Vec::new();
        for _ in 0..8 {
            let closed = trim.excess(pool(10, total - 10), 2, 1.1, trim.next());
            total -= closed;
            kept.push(total);
        }
        assert_eq!(kept, [88, 88, 69, 50, 35, 25, 19, 16]);
    }

    #[test]
    fn between_two_looks_nothing_is_closed() {
        let mut trim = Trim::new(1, Timestamp::ZERO);
        assert_eq!(trim.excess(pool(0, 100), 0, 1.1, Timestamp::ZERO), 0);
        let next = trim.next();
        assert!(Duration::from_millis(4_500) <= next - Timestamp::ZERO);
        assert!(next - Timestamp::ZERO <= Duration::from_millis(5_500));
        assert_eq!(trim.excess(pool(0, 100), 0, 1.1, next), 50);
        assert_eq!(trim.excess(pool(0, 50), 0, 1.1, next), 0);
    }

    proptest! {
        #[test]
        fn nothing_in_use_is_closed_nor_what_is_to_be_kept(
            looks in prop::collection::vec((0..200_u32, 0..200_u32, 0..50_u32), 1..50),
            seed: u64,
        ) {
            let mut trim = Trim::new(seed, Timestamp::ZERO);
            for (in_use, idle, least) in looks {
                let total = in_use + idle;
                let closed = trim.excess(pool(in_use, idle), least, 1.1, trim.next());
                prop_assert!(closed <= idle);
                prop_assert!(closed == 0 || total - closed >= least);
            }
        }
    }
}
