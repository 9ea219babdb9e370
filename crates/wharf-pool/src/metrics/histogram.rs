//! The shape of the latency histogram, and its distribution in the buckets of an exporter.

use std::time::Duration;

use histogram::Histogram;

/// One shape for all: buckets at most 1/16 wide, from a nanosecond to 18 minutes, 4.6 KiB.
pub(super) mod shape {
    use histogram::Config;

    const LARGEST_POWER: u8 = 40;

    /// The longest duration that has a bucket of its own, in nanoseconds.
    pub(crate) const LONGEST: u64 = (1 << LARGEST_POWER) - 1;

    pub(crate) const CONFIG: Config = match Config::new(4, LARGEST_POWER) {
        Ok(config) => config,
        // Evaluated by the compiler: a shape that is not one does not build.
        Err(_) => unreachable!(),
    };
}

/// How many requests took at most so long, cumulative, as exporters want it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LatencyBuckets {
    /// Upper bound and number of requests that took at most that long; the bounds grow.
    pub buckets: Vec<(Duration, u64)>,
    /// All requests.
    pub count: u64,
    /// All durations added up.
    pub sum: Duration,
}

/// Bounds from half a millisecond to a minute: Prometheus' usual ones, and those around the
/// default timeouts.
const BOUNDS_MICROS: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

impl LatencyBuckets {
    pub(crate) fn new(durations: &Histogram, sum: Duration) -> Self {
        let mut buckets: Vec<_> = BOUNDS_MICROS
            .iter()
            .map(|us| (Duration::from_micros(*us), 0))
            .collect();
        let mut count = 0;
        for bucket in durations {
            count += bucket.count();
            // A bucket counts for the first bound that is not below its upper end.
            let end = Duration::from_nanos(bucket.end());
            if let Some((_, n)) = buckets.iter_mut().find(|(bound, _)| end <= *bound) {
                *n += bucket.count();
            }
        }
        let mut below = 0;
        for (_, n) in &mut buckets {
            below += *n;
            *n = below;
        }
        Self {
            buckets,
            count,
            sum,
        }
    }
}
