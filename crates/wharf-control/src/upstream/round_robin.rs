//! [`SmoothRoundRobin`]: in turn, by weight, without bunching.

use crate::Random;

/// nginx's smooth weighted round robin: weights 5, 1, 1 give `a a b a c a a`, not `a a a a a b c`.
///
/// Each turn adds to every endpoint's account its weight; the greatest account is chosen and pays the
/// sum of all weights. Among endpoints that stay, any `sum of weights` turns in a row hold each exactly
/// `weight` times. O(n) for each choice, nothing allocated.
#[derive(Clone, Debug)]
pub struct SmoothRoundRobin {
    weights: Vec<u32>,
    accounts: Vec<i64>,
}

impl SmoothRoundRobin {
    /// A round over endpoints with these weights, begun where chance says: gateways that start at the
    /// same time must not all begin with the same endpoint. A weight of zero is never chosen.
    pub fn new(weights: Vec<u32>, random: &mut Random) -> Self {
        let mut round = Self {
            accounts: vec![0; weights.len()],
            weights,
        };
        for _ in 0..random.below(round.weights.len()) {
            round.choose(|_| true);
        }
        round
    }

    /// The endpoint whose turn it is, of those that `may` be asked; `None` if there is none.
    ///
    /// Who may not be asked neither gains nor pays: it comes back with what it had, not with a burst.
    pub fn choose(&mut self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let mut sum = 0_i64;
        let mut best: Option<usize> = None;
        for (endpoint, &weight) in self.weights.iter().enumerate() {
            if weight == 0 || !may(endpoint) {
                continue;
            }
            sum += i64::from(weight);
            self.accounts[endpoint] += i64::from(weight);
            if best.is_none_or(|best| self.accounts[endpoint] > self.accounts[best]) {
                best = Some(endpoint);
            }
        }
        let best = best?;
        self.accounts[best] -= sum;
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::SmoothRoundRobin;
    use crate::Random;

    #[test]
    fn the_example_of_nginx() {
        let mut round = SmoothRoundRobin {
            weights: vec![5, 1, 1],
            accounts: vec![0; 3],
        };
        let turns: Vec<usize> = (0..7).filter_map(|_| round.choose(|_| true)).collect();
        assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn who_was_away_comes_back_without_a_burst() {
        let mut round = SmoothRoundRobin::new(vec![1, 1, 1], &mut Random::new(1));
        for _ in 0..1_000 {
            assert_ne!(round.choose(|endpoint| endpoint != 0), Some(0));
        }
        let turns: Vec<usize> = (0..6).filter_map(|_| round.choose(|_| true)).collect();
        assert!(
            turns.iter().filter(|&&turn| turn == 0).count() <= 3,
            "{turns:?}"
        );
    }

    #[test]
    fn without_anyone_to_ask_there_is_no_choice() {
        let mut random = Random::new(1);
        assert_eq!(
            SmoothRoundRobin::new(vec![], &mut random).choose(|_| true),
            None
        );
        assert_eq!(
            SmoothRoundRobin::new(vec![0, 0], &mut random).choose(|_| true),
            None
        );
        assert_eq!(
            SmoothRoundRobin::new(vec![1], &mut random).choose(|_| false),
            None
        );
    }

    proptest! {
        #[test]
        fn each_round_holds_everybody_as_often_as_its_weight(
            weights in prop::collection::vec(0..20_u32, 1..12),
            seed: u64,
        ) {
            let round: u32 = weights.iter().sum();
            let mut turns = SmoothRoundRobin::new(weights.clone(), &mut Random::new(seed));
            for _ in 0..3 {
                let mut seen = vec![0; weights.len()];
                for _ in 0..round {
                    seen[turns.choose(|_| true).unwrap()] += 1;
                }
                prop_assert_eq!(&seen, &weights);
            }
        }
    }
}
