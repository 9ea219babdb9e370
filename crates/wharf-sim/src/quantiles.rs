//! [`Quantiles`]: what a part of all samples is under.

/// All samples of a run, kept.
#[derive(Clone, Debug, Default)]
pub struct Quantiles {
    samples: Vec<f64>,
}

impl Quantiles {
    /// Adds a sample.
    pub fn add(&mut self, sample: f64) {
        self.samples.push(sample);
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.samples.len()
    }

    /// The mean; zero of nothing.
    pub fn mean(&self) -> f64 {
        self.samples.iter().sum::<f64>() / (self.count().max(1)) as f64
    }

    /// The sample that this part of all is not over (nearest rank); zero of nothing.
    pub fn at(&mut self, part: f64) -> f64 {
        let Some(last) = self.count().checked_sub(1) else {
            return 0.0;
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a count, from zero to that count"
        )]
        let rank = ((self.count() as f64 * part).ceil() as usize).clamp(1, last + 1) - 1;
        let (_, sample, _) = self.samples.select_nth_unstable_by(rank, f64::total_cmp);
        *sample
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "samples are given back as they are")]
mod tests {
    use super::Quantiles;

    #[test]
    fn ranks_are_those_of_the_sorted_list() {
        let mut quantiles = Quantiles::default();
        assert_eq!((quantiles.at(0.5), quantiles.mean()), (0.0, 0.0));
        for sample in (1..=100).rev() {
            quantiles.add(f64::from(sample));
        }
        let at = [0.0, 0.5, 0.99, 0.999, 1.0].map(|part| quantiles.at(part));
        assert_eq!(at, [1.0, 50.0, 99.0, 100.0, 100.0]);
        assert_eq!(quantiles.mean(), 50.5);
    }
}
