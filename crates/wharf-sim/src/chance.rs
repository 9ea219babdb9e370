//! [`Chance`]: service times and gaps between arrivals, from a stream of random numbers.

use wharf_control::Random;

/// A stream of numbers by distribution. Each part of a plant has its own, so that policies that are
/// compared meet the same arrivals and the same work.
#[derive(Clone, Debug)]
pub struct Chance(Random);

impl Chance {
    /// Stream `stream` of a run's seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut seeds = Random::new(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        Self(Random::new(seeds.next_u64()))
    }

    /// The stream itself, for a law that takes one.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.0
    }

    /// Even over `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        self.0.unit()
    }

    /// Even over `[from, to)`.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.unit()
    }

    /// One of `0..end`.
    pub const fn below(&mut self, end: usize) -> usize {
        self.0.below(end)
    }

    /// True with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponential.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Normal (Box and Muller).
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        mean + deviation * radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normal with this mean; `sigma` is the deviation of the logarithm.
    pub fn log_normal(&mut self, mean: f64, sigma: f64) -> f64 {
        self.normal(mean.ln() - sigma * sigma / 2.0, sigma).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let draws: Vec<f64> = (0..200_000).map(|_| draw()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn distributions_have_their_mean_and_deviation() {
        let mut chance = Chance::new(1, 1);
        let close = |(mean, deviation): (f64, f64), expected: (f64, f64)| {
            assert!((mean / expected.0 - 1.0).abs() < 0.02, "{mean} {deviation}");
            assert!(
                (deviation / expected.1 - 1.0).abs() < 0.05,
                "{mean} {deviation}"
            );
        };
        close(moments(|| chance.exponential(3.0)), (3.0, 3.0));
        close(moments(|| chance.normal(80.0, 20.0)), (80.0, 20.0));
        // exp(0.25) - 1 = 0.2840, its root 0.5329.
        close(moments(|| chance.log_normal(50.0, 0.5)), (50.0, 26.65));
        close(
            moments(|| chance.between(1.8, 3.0)),
            (2.4, 1.2 / 12_f64.sqrt()),
        );
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let first = |stream| Chance::new(7, stream).unit().to_bits();
        assert_ne!(first(1), first(2));
        assert_eq!(first(1), first(1));
    }
}
