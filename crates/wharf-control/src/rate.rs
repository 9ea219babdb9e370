//! [`TokenBucket`]: at most so many of something per second.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::Timestamp;

const NANOS_PER_TOKEN: u64 = 1_000_000_000;

/// A rate limit: tokens flow in evenly and each thing that happens takes one.
///
/// The bucket holds one second's worth of tokens and starts full, so a quiet second may be followed
/// by a burst of that size. Whole-number arithmetic: over any time the rate is exact.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    per_second: NonZeroU32,
    /// In billionths of a token: at a rate of `r`, `r` of them flow in each nanosecond.
    level: u64,
    at: Timestamp,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(per_second: NonZeroU32, now: Timestamp) -> Self {
        Self {
            per_second,
            level: capacity(per_second),
            at: now,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// Without a token, the time until there is one, provided that nobody else takes it.
    pub fn try_take(&mut self, now: Timestamp) -> Result<(), Duration> {
        self.refill(now);
        if let Some(level) = self.level.checked_sub(NANOS_PER_TOKEN) {
            self.level = level;
            return Ok(());
        }
        let missing = NANOS_PER_TOKEN - self.level;
        Err(Duration::from_nanos(
            missing.div_ceil(u64::from(self.per_second.get())),
        ))
    }

    /// Changes the rate from now on. Tokens that are already there stay, as far as the new bucket
    /// holds them; a faster rate does not fill it.
    pub fn set_rate(&mut self, per_second: NonZeroU32, now: Timestamp) {
        self.refill(now);
        self.per_second = per_second;
        self.level = self.level.min(capacity(per_second));
    }

    fn refill(&mut self, now: Timestamp) {
        let passed = now.as_nanos().saturating_sub(self.at.as_nanos());
        let gained = passed.saturating_mul(u64::from(self.per_second.get()));
        self.level = self
            .level
            .saturating_add(gained)
            .min(capacity(self.per_second));
        self.at = self.at.max(now);
    }
}

fn capacity(per_second: NonZeroU32) -> u64 {
    // At most 4.3e18: a u32 times 1e9 fits a u64.
    u64::from(per_second.get()) * NANOS_PER_TOKEN
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::TokenBucket;
    use crate::Timestamp;

    fn rate(per_second: u32) -> NonZeroU32 {
        NonZeroU32::new(per_second).expect("tests use rates over zero")
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_full_bucket_allows_one_seconds_worth_at_once() {
        let mut bucket = TokenBucket::new(rate(3), at(0));
        for _ in 0..3 {
            assert_eq!(bucket.try_take(at(0)), Ok(()));
        }
        assert_eq!(
            bucket.try_take(at(0)),
            Err(Duration::from_nanos(333_333_334))
        );
        assert_eq!(bucket.try_take(at(334)), Ok(()));
    }

    #[test]
    fn a_slower_rate_spills_and_a_faster_one_gives_nothing_away() {
        let mut bucket = TokenBucket::new(rate(100), at(0));
        bucket.set_rate(rate(1), at(0));
        assert_eq!(bucket.try_take(at(0)), Ok(()));
        assert_eq!(bucket.try_take(at(0)), Err(Duration::from_secs(1)));
        bucket.set_rate(rate(1_000), at(0));
        assert_eq!(bucket.try_take(at(0)), Err(Duration::from_millis(1)));
    }

    #[test]
    fn time_before_a_change_counts_at_the_old_rate() {
        let mut bucket = TokenBucket::new(rate(1), at(0));
        assert_eq!(bucket.try_take(at(0)), Ok(()));
        bucket.set_rate(rate(1_000), at(500));
        assert_eq!(bucket.try_take(at(500)), Err(Duration::from_micros(500)));
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_tokens() {
        let mut bucket = TokenBucket::new(rate(1), at(5_000));
        assert_eq!(bucket.try_take(at(5_000)), Ok(()));
        assert!(bucket.try_take(at(0)).is_err());
        assert!(bucket.try_take(at(5_500)).is_err());
        assert_eq!(bucket.try_take(at(6_000)), Ok(()));
    }

    #[test]
    fn the_greatest_rate_and_the_longest_wait_do_not_overflow() {
        let mut bucket = TokenBucket::new(NonZeroU32::MAX, Timestamp::ZERO);
        assert_eq!(bucket.try_take(Timestamp::MAX), Ok(()));
    }

    proptest! {
        #[test]
        fn no_span_holds_more_than_its_rate_and_one_burst(
            per_second in 1..2_000_u32,
            gaps in prop::collection::vec(0..5_000_000_u64, 1..300),
        ) {
            let mut bucket = TokenBucket::new(rate(per_second), Timestamp::ZERO);
            let (mut now, mut taken) = (0, 0_u64);
            for gap in gaps {
                now += gap;
                match bucket.try_take(Timestamp::from_nanos(now)) {
                    Ok(()) => taken += 1,
                    Err(wait) => {
                        let free = Timestamp::from_nanos(now).after(wait);
                        let early = Timestamp::from_nanos(free.as_nanos() - 1);
                        prop_assert!(bucket.clone().try_take(early).is_err());
                        prop_assert!(bucket.clone().try_take(free).is_ok());
                    }
                }
                let allowed = u64::from(per_second) + now * u64::from(per_second) / 1_000_000_000;
                prop_assert!(taken <= allowed);
            }
        }
    }
}
