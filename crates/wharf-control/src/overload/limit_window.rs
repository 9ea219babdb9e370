//! [`LimitRecorder`]: what is to be known of the requests of the last moment.

use std::time::Duration;

use super::LatencyHistogram;
use crate::Timestamp;

/// What a window of requests has shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitWindow {
    /// The median latency.
    pub p50: Duration,
    /// What nine of ten latencies were under.
    pub p90: Duration,
    /// Successes per second.
    pub throughput: f64,
    /// The most requests that were in flight at once.
    pub most_in_flight: u32,
    /// The part of the requests that failed or were late.
    pub failed: f64,
    /// The shortest lag of the scheduler, where it is measured: how late a timer or task was.
    pub lag: Option<Duration>,
}

/// Collects samples until they are a window: 200 ms and ten samples, or 2 s.
///
/// A latency is the time that the server itself has taken: for what is proxied without the wait for the upstream, whose
/// slowness is no overload here.
#[derive(Clone, Debug)]
pub struct LimitRecorder {
    since: Timestamp,
    latencies: LatencyHistogram,
    successes: u32,
    failures: u32,
    most_in_flight: u32,
    lag: Option<Duration>,
}

impl LimitRecorder {
    const SHORTEST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(2);
    const ENOUGH: u32 = 10;

    /// A recorder whose first window begins now.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            latencies: LatencyHistogram::new(),
            successes: 0,
            failures: 0,
            most_in_flight: 0,
            lag: None,
        }
    }

    /// So many are in flight: to be told with each that begins.
    pub const fn in_flight(&mut self, in_flight: u32) {
        if in_flight > self.most_in_flight {
            self.most_in_flight = in_flight;
        }
    }

    /// A request that began at `begun` has ended. What began before `epoch`
    /// ([`ConcurrencyLimit::epoch`](super::ConcurrencyLimit::epoch)) is counted, but its latency says nothing.
    pub fn ended(&mut self, begun: Timestamp, epoch: Timestamp, success: bool, now: Timestamp) {
        if success {
            self.successes = self.successes.saturating_add(1);
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        if begun >= epoch {
            self.latencies.add(now - begun);
        }
    }

    /// A timer was so late.
    pub fn lagged(&mut self, lag: Duration) {
        self.lag = Some(self.lag.map_or(lag, |least| least.min(lag)));
    }

    /// Moves all that another has been told since here: each worker tells one of its own.
    pub fn take_from(&mut self, other: &mut Self) {
        self.latencies.add_all(&other.latencies);
        other.latencies.clear();
        self.successes = self
            .successes
            .saturating_add(std::mem::take(&mut other.successes));
        self.failures = self
            .failures
            .saturating_add(std::mem::take(&mut other.failures));
        self.in_flight(std::mem::take(&mut other.most_in_flight));
        if let Some(lag) = other.lag.take() {
            self.lagged(lag);
        }
    }

    /// The window, if it is one by now; then the next begins, with `in_flight` requests in it.
    pub fn close(&mut self, in_flight: u32, now: Timestamp) -> Option<LimitWindow> {
        let elapsed = now - self.since;
        let samples = self.latencies.count();
        let enough = elapsed >= Self::SHORTEST && samples >= Self::ENOUGH;
        if !enough && elapsed < Self::LONGEST {
            return None;
        }
        let window = (samples > 0).then(|| LimitWindow {
            p50: self.latencies.quantile(0.5),
            p90: self.latencies.quantile(0.9),
            throughput: f64::from(self.successes) / elapsed.as_secs_f64(),
            most_in_flight: self.most_in_flight,
            failed: f64::from(self.failures)
                / (f64::from(self.failures) + f64::from(self.successes)),
            lag: self.lag,
        });
        self.since = now;
        self.latencies.clear();
        (self.successes, self.failures, self.lag) = (0, 0, None);
        self.most_in_flight = in_flight;
        window
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::LimitRecorder;
    use crate::Timestamp;

    fn at(millis: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_window_has_ten_samples_and_200_ms_or_lasts_two_seconds() {
        let mut recorder = LimitRecorder::new(at(0));
        for _ in 0..10 {
            recorder.ended(at(0), at(0), true, at(100));
        }
        assert_eq!(recorder.close(3, at(199)), None);
        let window = recorder.close(3, at(200)).unwrap();
        assert!((window.throughput - 50.0).abs() < 1e-9);
        assert!((window.p50.as_secs_f64() - 0.1).abs() < 0.002);
        recorder.ended(at(200), at(0), false, at(300));
        assert_eq!(recorder.close(0, at(2_199)), None);
        let window = recorder.close(0, at(2_200)).unwrap();
        assert!((window.failed - 1.0).abs() < 1e-9);
        assert_eq!(window.most_in_flight, 3);
        assert_eq!(recorder.close(0, at(4_200)), None, "nothing happened");
    }

    #[test]
    fn what_several_were_told_is_what_one_would_have_been() {
        let (mut one, mut parts) = (
            LimitRecorder::new(at(0)),
            [0; 2].map(|_| LimitRecorder::new(at(0))),
        );
        for n in 0..40_u64 {
            let part = &mut parts[usize::from(n % 3 == 0)];
            for recorder in [&mut one, part] {
                recorder.ended(at(0), at(0), n % 4 > 0, at(n));
                recorder.in_flight(u32::try_from(n % 7).unwrap());
                recorder.lagged(Duration::from_millis(50 - n));
            }
        }
        let mut sum = LimitRecorder::new(at(0));
        for part in &mut parts {
            sum.take_from(part);
        }
        assert_eq!(
            sum.close(1, at(200)).unwrap(),
            one.close(1, at(200)).unwrap()
        );
        let mut nothing = LimitRecorder::new(at(0));
        nothing.take_from(&mut parts[0]);
        assert_eq!(nothing.close(0, at(2_000)), None, "it was moved");
    }

    #[test]
    fn what_began_before_the_epoch_has_no_latency() {
        let mut recorder = LimitRecorder::new(at(0));
        for begun in 0..20 {
            recorder.ended(at(begun), at(10), true, at(200));
        }
        let window = recorder.close(0, at(200)).unwrap();
        assert!((window.throughput - 100.0).abs() < 1e-9);
        assert!(window.p90 < Duration::from_millis(193));
    }
}
