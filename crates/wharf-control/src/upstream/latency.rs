//! [`PeakEwma`]: how long an endpoint takes, quick to believe the worse.

use std::time::Duration;

use crate::Timestamp;

/// What an endpoint is taken to need of which nothing is known, nor of its peers: 30 ms. With peers
/// the median of theirs is the better guess.
pub const LATENCY_UNKNOWN: Duration = Duration::from_millis(30);

/// A failure counts as an answer that took at least this long: 5 s (linkerd). Else an endpoint that
/// fails at once looks like the fastest of all and draws the traffic of its peers.
pub const FAILURE_LEAST: Duration = Duration::from_secs(5);

/// However long an endpoint asks to be left alone (`Retry-After`), no longer than this: 300 s.
pub const FAILURE_MOST: Duration = Duration::from_mins(5);

/// A moving average of latencies that jumps to a peak and decays from it (finagle's `PeakEwma`).
///
/// With `w = exp(-Δt/τ)` and `τ` = 10 s, a sample `rtt` makes the value `v` into `rtt` if that is greater,
/// else into `v·w + rtt·(1-w)`. Read at a later time it is `v·w`: an endpoint that was bad and is asked
/// no more becomes cheap again, and so is asked again. Reading changes nothing.
///
/// Two words, so that it can be copied out of a lock; one for each endpoint, shared by all workers.
#[derive(Clone, Copy, Debug)]
pub struct PeakEwma {
    /// In seconds, as of `at`.
    value: f64,
    at: Timestamp,
}

impl PeakEwma {
    /// The time in which an old value loses all but 37 % of its weight.
    const TAU: Duration = Duration::from_secs(10);

    /// An average that begins at `latency`: the median of the endpoint's peers, or
    /// [`LATENCY_UNKNOWN`].
    pub const fn new(latency: Duration, now: Timestamp) -> Self {
        Self {
            value: latency.as_secs_f64(),
            at: now,
        }
    }

    /// An answer took `latency`.
    pub fn on_answer(&mut self, latency: Duration, now: Timestamp) {
        let latency = latency.as_secs_f64();
        if latency > self.value {
            self.value = latency;
        } else {
            let kept = self.kept(now);
            self.value = self.value * kept + latency * (1.0 - kept);
        }
        self.at = self.at.max(now);
    }

    /// An answer said that the endpoint failed (HTTP 429 and 5xx; gRPC 2, 4, 8, 13, 14, 15), or none
    /// came (refused, reset, late). Not for what the client itself has called off.
    ///
    /// The sample is [`FAILURE_LEAST`] or, if the endpoint has asked for more, that, up to
    /// [`FAILURE_MOST`]; never less than what the average is.
    pub fn on_failure(&mut self, retry_after: Option<Duration>, now: Timestamp) {
        let asked = retry_after.unwrap_or_default().min(FAILURE_MOST);
        let sample = FAILURE_LEAST.max(asked).max(self.latency(now));
        self.value = sample.as_secs_f64();
        self.at = self.at.max(now);
    }

    /// The average as of now.
    pub fn latency(&self, now: Timestamp) -> Duration {
        // Not representable only if a sample was not: then it is as bad as can be said.
        Duration::try_from_secs_f64(self.seconds(now)).unwrap_or(Duration::MAX)
    }

    /// The average as of now, in seconds.
    pub(super) fn seconds(&self, now: Timestamp) -> f64 {
        self.value * self.kept(now)
    }

    fn kept(&self, now: Timestamp) -> f64 {
        (-(now - self.at).div_duration_f64(Self::TAU)).exp()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::PeakEwma;
    use crate::Timestamp;

    const MS: Duration = Duration::from_millis(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_millis(millis))
    }

    fn close(left: Duration, right: Duration) -> bool {
        left.abs_diff(right) < Duration::from_micros(1)
    }

    #[test]
    fn a_peak_is_believed_at_once_and_a_good_answer_little_by_little() {
        let mut ewma = PeakEwma::new(10 * MS, at(0));
        ewma.on_answer(100 * MS, at(0));
        assert!(close(ewma.latency(at(0)), 100 * MS));
        ewma.on_answer(10 * MS, at(0));
        assert!(close(ewma.latency(at(0)), 100 * MS), "no time has passed");
        // exp(-1) = 0.367879: 36.788 + 6.321.
        ewma.on_answer(10 * MS, at(10_000));
        assert!(close(
            ewma.latency(at(10_000)),
            Duration::from_nanos(43_109_150)
        ));
    }

    #[test]
    fn who_is_not_asked_becomes_cheap_again() {
        let ewma = PeakEwma::new(100 * MS, at(0));
        assert!(close(
            ewma.latency(at(20_000)),
            Duration::from_nanos(13_533_528)
        ));
        assert!(ewma.latency(Timestamp::MAX).is_zero());
    }

    #[test]
    fn a_failure_is_five_seconds_or_as_long_as_was_asked_for() {
        let mut ewma = PeakEwma::new(10 * MS, at(0));
        ewma.on_failure(None, at(0));
        assert!(close(ewma.latency(at(0)), 5_000 * MS));
        ewma.on_failure(Some(60_000 * MS), at(0));
        assert!(close(ewma.latency(at(0)), 60_000 * MS));
        ewma.on_failure(Some(2_000 * MS), at(0));
        assert!(close(ewma.latency(at(0)), 60_000 * MS), "never less");
        ewma.on_failure(Some(Duration::MAX), at(0));
        assert!(close(ewma.latency(at(0)), 300_000 * MS));
    }

    proptest! {
        #[test]
        fn the_average_lies_between_nothing_and_the_worst_answer(
            answers in prop::collection::vec((0..10_000_u64, 0..60_000_u64), 1..50),
        ) {
            let mut ewma = PeakEwma::new(MS, at(0));
            let (mut now, mut worst) = (0, 1);
            for (latency, gap) in answers {
                now += gap;
                worst = worst.max(latency);
                ewma.on_answer(Duration::from_millis(latency), at(now));
                let read = ewma.latency(at(now));
                prop_assert!(read <= Duration::from_millis(worst));
                prop_assert!(ewma.latency(at(now + 1)) <= read);
            }
        }
    }
}
