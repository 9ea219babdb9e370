//! [`Past`]: what the pools did in the last ten minutes, for who looks only now.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use wharf_http::HttpConnection;
use wharf_pool::{Metrics, Pool, PoolName, Registry, RejectReason};

use crate::process::ProcessFigures;

/// How far apart two samples are.
pub(crate) const STEP: Duration = Duration::from_secs(5);

/// How many are kept: ten minutes, and the one before them, since rates are between two.
const KEPT: usize = 121;

/// The last samples, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Past {
    samples: Mutex<VecDeque<Sample>>,
}

/// What was so at one time.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// When, since the start.
    pub(crate) at: Duration,
    /// Connections of the process.
    pub(crate) active: u32,
    /// Memory that is resident, in bytes.
    pub(crate) resident_bytes: Option<u64>,
    /// Processor time since the start, in seconds.
    pub(crate) cpu_seconds: Option<f64>,
    /// The pools that there were.
    pub(crate) pools: Vec<(PoolName, Figures)>,
}

/// One pool at one time. What is counted is counted since the pool was made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) active: u32,
    pub(crate) in_flight: u64,
    pub(crate) accepted: u64,
    pub(crate) ended: u64,
    /// The 50th, the 95th and the 99th percentile of the minute before.
    pub(crate) percentiles: [Duration; 3],
    /// Only what has happened at all.
    pub(crate) rejected: Vec<(RejectReason, u64)>,
}

impl Past {
    /// Takes samples for ever.
    pub(crate) async fn keep(
        &self,
        registry: &Registry<HttpConnection>,
        process: &ProcessFigures,
        started: Instant,
    ) {
        let mut ticks = interval(STEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let kernel = process.without_descriptors();
            self.put(Sample {
                at: to_the_millisecond(started.elapsed()),
                active: registry.occupancy().active,
                resident_bytes: kernel.resident_bytes,
                cpu_seconds: kernel.cpu_seconds,
                pools: registry.all().iter().map(figures).collect(),
            });
        }
    }

    fn put(&self, sample: Sample) {
        let mut samples = self.samples();
        if samples.len() >= KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// The samples later than `since`, and before them the one that their rates begin with, if it is
    /// still there.
    pub(crate) fn after(&self, since: Duration) -> (Option<Sample>, Vec<Sample>) {
        let samples = self.samples();
        let first = samples.partition_point(|sample| sample.at <= since).max(1);
        let before = samples.get(first - 1).cloned();
        (before, samples.iter().skip(first).cloned().collect())
    }

    fn samples(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        // Nothing under this lock panics.
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sample {
    /// What that pool did then.
    pub(crate) fn of(&self, pool: &PoolName) -> Option<&Figures> {
        let found = self.pools.iter().find(|(name, _)| name == pool);
        found.map(|(_, figures)| figures)
    }
}

/// What is told has to name the sample: a reader gives it back to hear what came after.
fn to_the_millisecond(time: Duration) -> Duration {
    Duration::new(time.as_secs(), time.subsec_millis() * 1_000_000)
}

fn figures(pool: &Pool<HttpConnection>) -> (PoolName, Figures) {
    (
        pool.name().clone(),
        Figures::of(pool.active(), &pool.metrics()),
    )
}

impl Figures {
    fn of(active: u32, metrics: &Metrics) -> Self {
        let performance = &metrics.performance;
        let rejected = metrics.rejected_by_reason.iter().filter(|(_, n)| *n > 0);
        Self {
            active,
            in_flight: metrics.in_flight,
            accepted: metrics.accepted,
            ended: metrics.requests_by_outcome.iter().map(|(_, n)| n).sum(),
            percentiles: [performance.p50, performance.p95, performance.p99],
            rejected: rejected.copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: u64) -> Sample {
        Sample {
            at: Duration::from_secs(seconds),
            active: 0,
            resident_bytes: None,
            cpu_seconds: None,
            pools: Vec::new(),
        }
    }

    fn told(past: &Past, since: u64) -> (Option<u64>, Vec<u64>) {
        let (before, samples) = past.after(Duration::from_secs(since));
        let seconds = |sample: &Sample| sample.at.as_secs();
        (
            before.as_ref().map(seconds),
            samples.iter().map(seconds).collect(),
        )
    }

    #[test]
    fn nothing_is_told_before_there_are_two_samples() {
        let past = Past::default();
        assert_eq!(told(&past, 0), (None, vec![]));
        past.put(sample(0));
        assert_eq!(told(&past, 0), (Some(0), vec![]));
    }

    #[test]
    fn who_knows_the_past_up_to_a_time_is_told_what_came_after() {
        let past = Past::default();
        (0..4).for_each(|n| past.put(sample(n * 5)));
        assert_eq!(told(&past, 0), (Some(0), vec![5, 10, 15]));
        assert_eq!(told(&past, 7), (Some(5), vec![10, 15]));
        assert_eq!(told(&past, 15), (Some(15), vec![]));
        assert_eq!(told(&past, 1000), (Some(15), vec![]));
    }

    #[test]
    fn times_can_be_told_without_a_rest() {
        let time = Duration::from_nanos(5_001_535_274);
        assert_eq!(to_the_millisecond(time), Duration::from_millis(5001));
    }

    #[test]
    fn what_is_older_than_ten_minutes_is_forgotten() {
        let past = Past::default();
        (0..500).for_each(|n| past.put(sample(n * 5)));
        let (before, samples) = told(&past, 0);
        assert_eq!(before, Some(samples[0] - 5));
        assert_eq!((samples.len(), samples.last()), (120, Some(&(499 * 5))));
    }
}
