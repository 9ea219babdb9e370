//! [`Arrivals`]: when requests are to begin, whatever becomes of those before them.

use std::time::Duration;

/// Chance, the same each time (`SplitMix64`).
struct Chance(u64);

impl Chance {
    /// A number from 0 to 1, without the 0.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let high = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
        (f64::from(high) + 1.0) / (f64::from(u32::MAX) + 1.0)
    }
}

/// A Poisson process of so many a second at each time, thinned from one of `most`. All gateways get the same one
/// for the same seed.
pub(crate) fn arrivals(
    lasting: Duration,
    most: f64,
    rate: impl Fn(f64) -> f64,
    seed: u64,
) -> Vec<Duration> {
    let mut chance = Chance(seed);
    let (mut at, mut all) = (0.0, Vec::new());
    loop {
        at -= chance.next().ln() / most;
        if at >= lasting.as_secs_f64() {
            return all;
        }
        if chance.next() * most <= rate(at) {
            all.push(Duration::from_secs_f64(at));
        }
    }
}

/// The same at a rate that stays.
pub(crate) fn steady(lasting: Duration, rate: f64, seed: u64) -> Vec<Duration> {
    arrivals(lasting, rate, |_| rate, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_the_rate_says_when_it_says_so() {
        let ten = Duration::from_secs(10);
        let all = arrivals(ten, 1_000.0, |at| if at < 5.0 { 1_000.0 } else { 200.0 }, 1);
        let early = all.iter().filter(|at| at.as_secs() < 5).count();
        assert!((4_700..5_300).contains(&early), "{early}");
        assert!((850..1_150).contains(&(all.len() - early)), "{}", all.len());
        assert!(all.is_sorted());
    }
}
