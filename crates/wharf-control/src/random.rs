//! [`Random`]: random numbers that the caller can repeat.

use crate::jitter::{GOLDEN, mix, unit};

/// A stream of random numbers, the same for the same seed: `SplitMix64` (Steele, Lea and Flood, OOPSLA
/// 2014), which passes `BigCrush` and takes three multiplications.
///
/// Decisions that need chance take one of these as an argument, so that a decision can be repeated in
/// a test and a simulation. One for each worker, seeded by its owner; the numbers are evenly spread,
/// not secret.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        let bits = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN);
        bits
    }

    /// The next number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// The next number below `end`; zero if `end` is zero.
    ///
    /// By multiplication (Lemire, TOMACS 2019) without its rejection step: over `n` outcomes each is
    /// off by at most `n` in 2^64.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the high half of the product is below `end`"
    )]
    pub const fn below(&mut self, end: usize) -> usize {
        ((self.next_u64() as u128 * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Random;

    #[test]
    fn the_stream_is_that_of_splitmix64() {
        // The reference implementation (prng.di.unimi.it/splitmix64.c), seed 1234567.
        let mut random = Random::new(1_234_567);
        let first: Vec<u64> = (0..5).map(|_| random.next_u64()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn every_outcome_is_as_likely() {
        let mut random = Random::new(7);
        let mut seen = [0_u32; 7];
        for _ in 0..70_000 {
            seen[random.below(7)] += 1;
        }
        assert!(seen.iter().all(|n| (9_600..10_400).contains(n)), "{seen:?}");
    }

    proptest! {
        #[test]
        fn numbers_stay_in_their_range(seed: u64, end in 0..10_000_usize) {
            let mut random = Random::new(seed);
            let below = random.below(end);
            prop_assert!(below < end || (end == 0 && below == 0));
            prop_assert!((0.0..1.0).contains(&random.unit()));
        }
    }
}
