//! [`Figures`]: what came out of all rounds of one server under one load.

use super::round::Round;

/// The medians of all rounds, and how far these are apart.
pub(super) struct Figures {
    pub(super) name: &'static str,
    /// Microseconds of the server's processor time for each request.
    pub(super) cost: f64,
    /// The same, of the round in which it was least.
    pub(super) least: f64,
    /// From the least to the most that a request cost, as a part of the median.
    pub(super) spread: f64,
    /// Requests a second.
    pub(super) rate: f64,
    /// The part of its core that the server used.
    pub(super) share: f64,
    /// The most of its core that others used in any round.
    pub(super) foreign: f64,
    pub(super) latency: Option<[f64; 2]>,
    /// Requests without their answer, in all rounds.
    pub(super) failed: u64,
}

impl Figures {
    /// Rounds are as far apart as this, and their medians say little.
    pub(super) const NOISE: f64 = 0.10;

    pub(super) fn of(name: &'static str, rounds: &[Round]) -> Self {
        let costs = sorted(rounds.iter().map(|round| round.cost));
        let cost = middle(&costs);
        let [least, most] = [costs.first(), costs.last()].map(|end| *end.unwrap_or(&f64::NAN));
        let median = |of: fn(&Round) -> f64| middle(&sorted(rounds.iter().map(of)));
        let latency = |nth: usize| {
            let some: Option<Vec<_>> = rounds
                .iter()
                .map(|round| round.latency.map(|both| both[nth]))
                .collect();
            some.map(|times| middle(&sorted(times.into_iter())))
        };
        Self {
            name,
            cost,
            least,
            spread: (most - least) / cost,
            rate: median(|round| round.rate),
            share: median(|round| round.share),
            foreign: rounds.iter().map(|round| round.foreign).fold(0.0, f64::max),
            latency: latency(0).zip(latency(1)).map(|(half, most)| [half, most]),
            failed: rounds.iter().map(|round| round.failed).sum(),
        }
    }

    pub(super) fn is_noisy(&self) -> bool {
        self.spread > Self::NOISE
    }
}

pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of an even number, the mean of the two in the middle.
pub(crate) fn middle(sorted: &[f64]) -> f64 {
    let upper = sorted.get(sorted.len() / 2);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2);
    upper
        .zip(lower)
        .map_or(f64::NAN, |(upper, lower)| f64::midpoint(*upper, *lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cost: f64) -> Round {
        Round {
            cost,
            rate: 1e6 / cost,
            share: 1.0,
            foreign: cost / 100.0,
            latency: Some([cost, 2.0 * cost]),
            failed: 1,
        }
    }

    #[test]
    fn the_median_is_between_the_rounds_and_the_spread_is_all_of_them() {
        let figures = Figures::of("one", &[round(12.0), round(9.0), round(10.0)]);
        assert!((figures.cost - 10.0).abs() < 1e-9);
        assert!((figures.spread - 0.3).abs() < 1e-9 && figures.is_noisy());
        assert_eq!(figures.latency, Some([10.0, 20.0]));
        assert!((figures.foreign - 0.12).abs() < 1e-9);
        assert_eq!(figures.failed, 3);
        assert!((Figures::of("two", &[round(9.0), round(10.0)]).cost - 9.5).abs() < 1e-9);
    }
}
