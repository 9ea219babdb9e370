//! Choosing the endpoint of least cost: of all, or of a few taken by chance.

use crate::Random;

/// Up to so many endpoints [`pick`] looks at all of them: 16.
///
/// A full look is the better choice (p99 of 8 servers at 90 % load: 299 ms against 402 to 453 with two
/// choices) for a few nanoseconds each; beyond this number two choices are as good, and cheaper.
pub const SCAN_UP_TO: usize = 16;

/// The endpoint of `0..len` to ask: [`least`] among few, else the better of two.
///
/// `cost` is called for each endpoint that is looked at; `None` says that it must not be asked. Not a
/// number is the greatest cost. `None` only if no endpoint may be asked.
pub fn pick(len: usize, random: &mut Random, cost: impl Fn(usize) -> Option<f64>) -> Option<usize> {
    if len <= SCAN_UP_TO {
        least(len, random, cost)
    } else {
        least_of_random::<2>(len, random, cost)
    }
}

/// The cheapest of all endpoints. Of equals the first, counted from a place that chance chooses, so
/// that several who choose at the same time do not choose the same.
pub fn least(
    len: usize,
    random: &mut Random,
    cost: impl Fn(usize) -> Option<f64>,
) -> Option<usize> {
    let start = random.below(len);
    cheapest((start..len).chain(0..start), cost)
}

/// The cheapest of `D` different endpoints taken by chance ("the power of two choices", Mitzenmacher).
///
/// Different, because of two endpoints taken with replacement the busier one is chosen a quarter of the
/// time. If none of them may be asked, others are tried, three times in all, and then all of them: as
/// long as one may be asked it is found.
pub fn least_of_random<const D: usize>(
    len: usize,
    random: &mut Random,
    cost: impl Fn(usize) -> Option<f64>,
) -> Option<usize> {
    const TRIES: usize = 3;
    if len > D {
        for _ in 0..TRIES {
            let found = cheapest(distinct::<D>(len, random), &cost);
            if found.is_some() {
                return found;
            }
        }
    }
    least(len, random, cost)
}

fn cheapest(
    endpoints: impl IntoIterator<Item = usize>,
    cost: impl Fn(usize) -> Option<f64>,
) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for endpoint in endpoints {
        let Some(cost) = cost(endpoint) else { continue };
        if best.is_none_or(|(least, _)| cost.total_cmp(&least).is_lt()) {
            best = Some((cost, endpoint));
        }
    }
    best.map(|(_, endpoint)| endpoint)
}

/// `D` different numbers of `0..len`, every set of them as likely (Floyd, CACM 1987), the first of
/// them as likely to be any: who is looked at first wins a tie. `len` is at least `D`.
fn distinct<const D: usize>(len: usize, random: &mut Random) -> [usize; D] {
    let mut chosen = [0; D];
    for taken in 0..D {
        let last = len - D + taken;
        let candidate = random.below(last + 1);
        chosen[taken] = if chosen[..taken].contains(&candidate) {
            last
        } else {
            candidate
        };
    }
    let turn = random.below(D);
    chosen.rotate_left(turn);
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{distinct, least, least_of_random, pick};
    use crate::Random;

    #[test]
    fn of_equals_everybody_is_chosen_as_often() {
        let mut random = Random::new(3);
        let (mut scanned, mut sampled) = ([0_u32; 5], [0_u32; 5]);
        for _ in 0..50_000 {
            scanned[least(5, &mut random, |_| Some(1.0)).unwrap()] += 1;
            sampled[least_of_random::<2>(5, &mut random, |_| Some(1.0)).unwrap()] += 1;
        }
        for n in scanned.iter().chain(&sampled) {
            assert!((9_600..10_400).contains(n), "{scanned:?} {sampled:?}");
        }
    }

    #[test]
    fn of_two_endpoints_two_choices_find_the_better_every_time() {
        let mut random = Random::new(3);
        for _ in 0..1_000 {
            let cost = |endpoint| Some(if endpoint == 0 { 2.0 } else { 1.0 });
            assert_eq!(least_of_random::<2>(2, &mut random, cost), Some(1));
        }
    }

    #[test]
    fn every_pair_is_as_likely() {
        let mut random = Random::new(3);
        let mut pairs = [[0_u32; 4]; 4];
        for _ in 0..60_000 {
            let [one, other] = distinct::<2>(4, &mut random);
            pairs[one][other] += 1;
        }
        for (one, row) in pairs.iter().enumerate() {
            for (other, &n) in row.iter().enumerate() {
                let expected = if one == other { 0..1 } else { 4_700..5_300 };
                assert!(expected.contains(&n), "{pairs:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_only_one_that_may_be_asked_is_found(seed: u64, len in 1..200_usize, only: prop::sample::Index) {
            let only = only.index(len);
            let cost = |endpoint| (endpoint == only).then_some(f64::NAN);
            let mut random = Random::new(seed);
            prop_assert_eq!(pick(len, &mut random, cost), Some(only));
            prop_assert_eq!(least_of_random::<3>(len, &mut random, cost), Some(only));
            prop_assert_eq!(pick(len, &mut random, |_| None), None);
            prop_assert_eq!(pick(0, &mut random, |_| Some(1.0)), None);
        }

        #[test]
        fn a_scan_finds_the_least(seed: u64, costs in prop::collection::vec(0.0..1e9_f64, 1..40)) {
            let chosen = least(costs.len(), &mut Random::new(seed), |endpoint| Some(costs[endpoint]));
            let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert!((costs[chosen.unwrap()] - least).abs() < f64::EPSILON);
        }

        #[test]
        fn of_two_the_dearest_of_all_is_never_chosen(seed: u64, len in 2..100_usize) {
            let cost = |endpoint: usize| Some(if endpoint == 0 { 1.0 } else { 0.0 });
            prop_assert_ne!(least_of_random::<2>(len, &mut Random::new(seed), cost), Some(0));
        }
    }
}
