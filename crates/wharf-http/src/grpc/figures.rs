//! [`Figures`]: the calls of one method, counted by each worker for itself.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::code::Code;

/// The upper bounds of the latency's buckets in microseconds, those of the requests of a pool.
const BOUNDS: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// There are figures for each method, so fewer stripes than a pool has.
const MOST_STRIPES: usize = 16;

/// What there is to say of the calls of one method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodFigures {
    /// The method, `package.Service/Method`; [`OTHER`](super::OTHER) for all that have no figures
    /// of their own.
    pub method: Box<str>,
    /// Begun and not ended.
    pub in_flight: u64,
    /// How many ended with each code, at its number.
    pub ended: [u64; Code::ALL.len()],
    /// Whole messages received, of calls that have ended.
    pub messages_received: u64,
    /// Whole messages sent, of calls that have ended.
    pub messages_sent: u64,
    /// How many took at most so long, cumulative; calls that were cancelled are not among them.
    pub buckets: [(Duration, u64); BOUNDS.len()],
    /// How many were measured.
    pub count: u64,
    /// How long they took together.
    pub sum: Duration,
}

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: Code,
    pub(super) took: Duration,
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// The calls of one method.
#[derive(Debug)]
pub(super) struct Figures {
    stripes: Box<[CachePadded<Stripe>]>,
}

/// What one worker counts. Any thread may: two that share a stripe only meet.
#[derive(Debug, Default)]
struct Stripe {
    /// By itself it may be negative: a call can end on another worker.
    in_flight: AtomicI64,
    ended: [AtomicU64; Code::ALL.len()],
    received: AtomicU64,
    sent: AtomicU64,
    /// Not cumulative; the last is for what is above all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Figures {
    pub(super) fn new() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let count = workers.next_power_of_two().min(MOST_STRIPES);
        Self {
            stripes: std::iter::repeat_with(CachePadded::default)
                .take(count)
                .collect(),
        }
    }

    pub(super) fn put_in_flight(&self) {
        self.mine().in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn take_from_flight(&self) {
        self.mine().in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, ended: &Ended) {
        let mine = self.mine();
        mine.in_flight.fetch_sub(1, Ordering::Relaxed);
        let code = usize::from(ended.code.number());
        mine.ended[code].fetch_add(1, Ordering::Relaxed);
        mine.received.fetch_add(ended.received, Ordering::Relaxed);
        mine.sent.fetch_add(ended.sent, Ordering::Relaxed);
        if ended.code != Code::Cancelled {
            let micros = ended.took.as_nanos().div_ceil(1000);
            let bucket = BOUNDS.partition_point(|bound| u128::from(*bound) < micros);
            mine.buckets[bucket].fetch_add(1, Ordering::Relaxed);
            let nanos = u64::try_from(ended.took.as_nanos()).unwrap_or(u64::MAX);
            mine.nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// What all workers have counted.
    pub(super) fn sum(&self, method: &str) -> MethodFigures {
        let sum = |of: &dyn Fn(&Stripe) -> &AtomicU64| {
            let counts = self.stripes.iter().map(|it| of(it).load(Ordering::Relaxed));
            counts.fold(0, u64::wrapping_add)
        };
        let in_flight = self.stripes.iter().map(|it| &it.in_flight);
        let in_flight: i64 = in_flight.map(|it| it.load(Ordering::Relaxed)).sum();
        let mut count = 0;
        let buckets = std::array::from_fn(|i| {
            count += sum(&|stripe| &stripe.buckets[i]);
            (Duration::from_micros(BOUNDS[i]), count)
        });
        count += sum(&|stripe| &stripe.buckets[BOUNDS.len()]);
        MethodFigures {
            method: method.into(),
            in_flight: u64::try_from(in_flight).unwrap_or(0),
            ended: std::array::from_fn(|code| sum(&|stripe| &stripe.ended[code])),
            messages_received: sum(&|stripe| &stripe.received),
            messages_sent: sum(&|stripe| &stripe.sent),
            buckets,
            count,
            sum: Duration::from_nanos(sum(&|stripe| &stripe.nanos)),
        }
    }

    fn mine(&self) -> &Stripe {
        &self.stripes[thread_number() & (self.stripes.len() - 1)]
    }
}

/// A small number for each thread, given out in order of first use.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_is_added_up() {
        let figures = Figures::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        figures.put_in_flight();
                    }
                    for _ in 0..99 {
                        figures.end(&Ended {
                            code: Code::NotFound,
                            took: Duration::from_millis(1),
                            received: 1,
                            sent: 2,
                        });
                    }
                });
            }
        });
        let sum = figures.sum("a.B/C");
        assert_eq!(sum.in_flight, 8);
        assert_eq!(sum.ended[5], 792);
        assert_eq!(sum.ended.iter().sum::<u64>(), 792);
        assert_eq!((sum.messages_received, sum.messages_sent), (792, 1584));
        assert_eq!((sum.count, sum.sum), (792, Duration::from_millis(792)));
    }

    #[test]
    fn a_duration_counts_for_every_bound_that_is_not_below_it() {
        let figures = Figures::new();
        for (code, took) in [
            (Code::Ok, Duration::from_micros(500)),
            (Code::Ok, Duration::from_nanos(500_001)),
            (Code::Internal, Duration::from_mins(1)),
            (Code::Ok, Duration::from_secs(61)),
            (Code::Cancelled, Duration::from_secs(1)),
        ] {
            figures.put_in_flight();
            figures.end(&Ended {
                code,
                took,
                received: 0,
                sent: 0,
            });
        }
        let sum = figures.sum("a.B/C");
        assert_eq!(sum.buckets[0], (Duration::from_micros(500), 1));
        assert_eq!(sum.buckets[1], (Duration::from_millis(1), 2));
        assert_eq!(sum.buckets[14], (Duration::from_secs(30), 2));
        assert_eq!(sum.buckets[15], (Duration::from_mins(1), 3));
        assert_eq!((sum.count, sum.in_flight), (4, 0));
    }
}
