//! Jitter without a source of randomness: a seed spreads the same way each time.
//!
//! The seed is something that differs between connections, such as their id. The results are evenly
//! spread, not secret.

use std::time::Duration;

/// A number in `[0, 1)` that depends on `seed` and `salt` only, evenly spread over either.
///
/// The salt keeps decisions about one connection apart: its age and its goodbye are not both early.
/// The mixing is the finalizer of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014, figure 15).
pub fn spread(seed: u64, salt: u64) -> f64 {
    unit(mix(seed ^ mix(salt)))
}

/// `base` moved by at most `fraction` of itself in either direction: 0.1 is ±10 %.
///
/// A fraction outside 0 to 1 is taken as the nearer of the two.
pub fn jittered(base: Duration, fraction: f64, seed: u64) -> Duration {
    let fraction = if fraction.is_nan() {
        0.0
    } else {
        fraction.clamp(0.0, 1.0)
    };
    let factor = 1.0 + fraction * (2.0 * spread(seed, AGE) - 1.0);
    // Fails only where the result is longer than a Duration can be: then the base is as good.
    Duration::try_from_secs_f64(base.as_secs_f64() * factor).unwrap_or(base)
}

/// A point within `window`, for things that must not all happen at once: the goodbyes of a drain.
pub fn offset(window: Duration, seed: u64) -> Duration {
    let offset = window.as_secs_f64() * spread(seed, GOODBYE);
    Duration::try_from_secs_f64(offset)
        .unwrap_or(window)
        .min(window)
}

const AGE: u64 = 1;
const GOODBYE: u64 = 2;

/// What the state of `SplitMix64` grows by.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The upper 53 bits as a number in `[0, 1)`.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits are exactly what an f64 holds"
)]
pub(crate) fn unit(bits: u64) -> f64 {
    const TWO_TO_53: f64 = 9_007_199_254_740_992.0;
    (bits >> 11) as f64 / TWO_TO_53
}

pub(crate) const fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{jittered, mix, offset, spread};

    #[test]
    fn the_mixing_is_that_of_splitmix64() {
        // The first output of the reference implementation (prng.di.unimi.it/splitmix64.c) for 0
        // and for 1234567.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn consecutive_ids_fill_every_tenth_evenly() {
        let mut tenths = [0_u32; 10];
        for id in 0..10_000 {
            let tenth = (1..10)
                .filter(|&n| spread(id, 7) >= f64::from(n) / 10.0)
                .count();
            tenths[tenth] += 1;
        }
        assert!(
            tenths.iter().all(|n| (900..1_100).contains(n)),
            "{tenths:?}"
        );
    }

    #[test]
    fn salts_are_independent_of_each_other() {
        let both_early = (0..10_000).filter(|&id| spread(id, 1) < 0.5 && spread(id, 2) < 0.5);
        assert!((2_300..2_700).contains(&both_early.count()));
    }

    #[test]
    fn odd_arguments_give_the_nearest_sensible_answer() {
        let base = Duration::from_mins(1);
        assert_eq!(jittered(base, f64::NAN, 1), base);
        assert_eq!(jittered(base, -3.0, 1), base);
        assert!(jittered(base, 9.0, 1) <= 2 * base);
        assert_eq!(jittered(Duration::ZERO, 0.1, 1), Duration::ZERO);
        assert_eq!(offset(Duration::ZERO, 1), Duration::ZERO);
        assert!(offset(Duration::MAX, 1) <= Duration::MAX);
    }

    proptest! {
        #[test]
        fn jitter_stays_in_its_bounds(seed: u64, secs in 1..1_000_000_u64) {
            let base = Duration::from_secs(secs);
            let jittered = jittered(base, 0.1, seed);
            prop_assert!(jittered >= base.mul_f64(0.899_999) && jittered <= base.mul_f64(1.100_001));
            prop_assert!(offset(base, seed) <= base);
            prop_assert!((0.0..1.0).contains(&spread(seed, secs)));
        }
    }
}
