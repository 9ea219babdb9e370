//! Counters that every request touches, one set per worker, summed when somebody asks.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use histogram::{AtomicHistogram, Histogram};

use super::Outcome;
use super::histogram::shape;

/// More stripes than workers only cost memory; 64 is for the largest machines.
const MOST_STRIPES: usize = 64;

/// The counters of all workers.
#[derive(Debug)]
pub(crate) struct Stripes {
    /// Each is of the thread with that number, but for the last, which all others share.
    stripes: Box<[CachePadded<Stripe>]>,
}

/// The counters that one thread writes.
#[derive(Debug)]
struct Stripe {
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    requests: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    duration_nanos: AtomicU64,
    durations: AtomicHistogram,
    busy_nanos: AtomicU64,
}

/// The counters of the thread that asks.
#[derive(Debug)]
pub(crate) struct Mine<'a> {
    stripe: &'a Stripe,
    writers: Writers,
}

/// Who writes a stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writers {
    /// This thread: a load and a store are enough, and cost a tenth of a read-modify-write.
    Alone,
    Several,
}

impl Mine<'_> {
    pub(crate) fn receive(&self, bytes: u64) {
        self.add(&self.stripe.bytes_received, bytes);
    }

    pub(crate) fn send(&self, bytes: u64) {
        self.add(&self.stripe.bytes_sent, bytes);
    }

    pub(crate) fn begin_request(&self) {
        self.add(&self.stripe.requests, 1);
    }

    pub(crate) fn end_request(&self, outcome: Outcome, took: Duration) {
        self.add(&self.stripe.outcomes[outcome as usize], 1);
        if !matches!(outcome, Outcome::Cancelled | Outcome::Shed) {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.add(&self.stripe.duration_nanos, nanos);
            // Out of range is longer than 18 minutes: it belongs into the last bucket.
            if self.stripe.durations.increment(nanos).is_err() {
                let _ = self.stripe.durations.increment(shape::LONGEST);
            }
        }
    }

    pub(crate) fn busy(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.add(&self.stripe.busy_nanos, nanos);
    }

    fn add(&self, counter: &AtomicU64, more: u64) {
        match self.writers {
            Writers::Alone => {
                let sum = counter.load(Ordering::Relaxed).wrapping_add(more);
                counter.store(sum, Ordering::Relaxed);
            }
            Writers::Several => {
                counter.fetch_add(more, Ordering::Relaxed);
            }
        }
    }
}

impl Stripes {
    pub(crate) fn new() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        // One for the thread that starts them, one for all that come later.
        let count = workers.min(MOST_STRIPES) + 2;
        let stripe = || Stripe {
            bytes_received: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            outcomes: [const { AtomicU64::new(0) }; Outcome::ALL.len()],
            duration_nanos: AtomicU64::new(0),
            durations: AtomicHistogram::with_config(&shape::CONFIG),
            busy_nanos: AtomicU64::new(0),
        };
        Self {
            stripes: (0..count).map(|_| CachePadded::new(stripe())).collect(),
        }
    }

    /// The counters of the thread that asks.
    pub(crate) fn mine(&self) -> Mine<'_> {
        let shared = self.stripes.len() - 1;
        let number = thread_number();
        Mine {
            stripe: &self.stripes[number.min(shared)],
            writers: if number < shared {
                Writers::Alone
            } else {
                Writers::Several
            },
        }
    }

    /// The sum over all stripes.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for stripe in &self.stripes {
            totals.bytes_received += stripe.bytes_received.load(Ordering::Relaxed);
            totals.bytes_sent += stripe.bytes_sent.load(Ordering::Relaxed);
            totals.requests += stripe.requests.load(Ordering::Relaxed);
            for (total, outcome) in totals.outcomes.iter_mut().zip(&stripe.outcomes) {
                *total += outcome.load(Ordering::Relaxed);
            }
            totals.duration_nanos += stripe.duration_nanos.load(Ordering::Relaxed);
            totals.busy_nanos += stripe.busy_nanos.load(Ordering::Relaxed);
        }
        totals
    }

    /// The distribution of all durations since start.
    pub(crate) fn durations(&self) -> Histogram {
        self.stripes
            .iter()
            .fold(Histogram::with_config(&shape::CONFIG), |sum, stripe| {
                // All have the same shape, and the counts of 584 years of requests fit.
                sum.wrapping_add(&stripe.durations.load()).unwrap_or(sum)
            })
    }
}

/// What all stripes say together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) requests: u64,
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    pub(crate) duration_nanos: u64,
    pub(crate) busy_nanos: u64,
}

impl Totals {
    /// Requests that ended, however they did.
    pub(crate) fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Requests that have begun and not ended. The two are read one after the other.
    pub(crate) fn in_flight(&self) -> u64 {
        self.requests.saturating_sub(self.ended())
    }

    /// Requests that got an answer.
    pub(crate) fn answered(&self) -> u64 {
        let unanswered = [Outcome::Cancelled, Outcome::Shed].map(|it| self.outcomes[it as usize]);
        self.ended() - unanswered.iter().sum::<u64>()
    }

    pub(crate) fn errors(&self) -> u64 {
        self.outcomes[Outcome::ServerError as usize]
    }
}

/// A small number for each thread, given out in order of first use and never again: for counters of which each
/// worker has its own.
pub fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}
