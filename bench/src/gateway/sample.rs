//! [`Sample`]: what came of one request, and [`Samples`], of many.

use std::time::Duration;

/// What came of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// When it was to begin, from the beginning of the load.
    pub(super) intended: Duration,
    /// From then to the last byte of its answer.
    pub(super) latency: Duration,
    /// How long the server behind says that it had it.
    pub(super) took: Duration,
    pub(super) outcome: Outcome,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With the answer that it should have.
    Answered,
    /// With this status, or another answer.
    Wrong(u16),
    /// Without one.
    Broken,
    /// Later than anybody waits.
    TooLate,
}

/// What came of many, in the order in which they ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(pub(super) Vec<Sample>);

impl Samples {
    /// Those that were to begin in a part of the time.
    pub(super) fn between(&self, from: Duration, to: Duration) -> Self {
        let all = self.0.iter().copied();
        Self(all.filter(|it| (from..to).contains(&it.intended)).collect())
    }

    /// What so many of a hundred did not take longer than, failed ones included, in milliseconds.
    pub(super) fn percentile(&self, percent: f64) -> f64 {
        self.quantile(percent, |it| it.latency)
    }

    /// The same of what is not the server's behind.
    pub(super) fn added(&self, percent: f64) -> f64 {
        self.quantile(percent, |it| it.latency.saturating_sub(it.took))
    }

    pub(super) fn failed(&self) -> usize {
        let failed = |it: &&Sample| it.outcome != Outcome::Answered;
        self.0.iter().filter(failed).count()
    }

    /// The part of all that failed.
    pub(super) fn failed_part(&self) -> f64 {
        part(self.failed(), self.0.len())
    }

    /// The part of all that had to wait longer than that for something else than the server's work.
    pub(super) fn waited_part(&self, longer: Duration) -> f64 {
        let waited = |it: &&Sample| it.latency.saturating_sub(it.took) > longer;
        part(self.0.iter().filter(waited).count(), self.0.len())
    }

    fn quantile(&self, percent: f64, of: impl Fn(&Sample) -> Duration) -> f64 {
        let mut all: Vec<_> = self.0.iter().map(of).collect();
        all.sort_unstable();
        let Some(last) = all.len().checked_sub(1) else {
            return f64::NAN;
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a place among some thousands"
        )]
        let nth = (percent / 100.0 * last as f64).ceil() as usize;
        all[nth.min(last)].as_secs_f64() * 1e3
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of seconds' requests")]
fn part(some: usize, all: usize) -> f64 {
    some as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Samples {
        let sample = |nth: u64| Sample {
            intended: Duration::from_secs(nth),
            latency: Duration::from_millis(nth),
            took: Duration::from_millis(nth / 2),
            outcome: if nth == 100 {
                Outcome::Broken
            } else {
                Outcome::Answered
            },
        };
        Samples((0..=100).map(sample).collect())
    }

    #[test]
    fn percentiles_count_all_and_failures_too() {
        let samples = samples();
        assert!((samples.percentile(99.0) - 99.0).abs() < 1e-9);
        assert!((samples.percentile(100.0) - 100.0).abs() < 1e-9);
        assert!((samples.added(100.0) - 50.0).abs() < 1e-9);
        assert_eq!(samples.failed(), 1);
        assert!(Samples::default().percentile(50.0).is_nan());
    }

    #[test]
    fn a_part_of_the_time_is_by_when_they_were_to_begin() {
        let samples = samples().between(Duration::from_secs(10), Duration::from_secs(20));
        assert_eq!(samples.0.len(), 10);
        // 17 less 8, 18 less 9 and 19 less 9.
        assert!((samples.waited_part(Duration::from_millis(8)) - 0.3).abs() < 1e-9);
    }
}
