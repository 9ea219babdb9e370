//! Counters that every request touches, one set per worker, summed when somebody asks.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
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
    stripes: Box<[CachePadded<Stripe>]>,
}

/// The counters that one worker writes. Any thread may: two that share a stripe only meet.
#[derive(Debug)]
pub(crate) struct Stripe {
    bytes_received: AtomicU64,
    bytes_sent: AtomicU64,
    requests: AtomicU64,
    /// Begun less ended; by itself it may be negative, since a request can end on another worker.
    in_flight: AtomicI64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    duration_nanos: AtomicU64,
    durations: AtomicHistogram,
    busy_nanos: AtomicU64,
}

impl Stripe {
    pub(crate) fn receive(&self, bytes: u64) {
        self.bytes_received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn send(&self, bytes: u64) {
        self.bytes_sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn begin_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end_request(&self, outcome: Outcome, took: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        if outcome != Outcome::Cancelled {
            let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            self.duration_nanos.fetch_add(nanos, Ordering::Relaxed);
            // Out of range is longer than 18 minutes: it belongs into the last bucket.
            if self.durations.increment(nanos).is_err() {
                let _ = self.durations.increment(shape::LONGEST);
            }
        }
    }

    pub(crate) fn busy(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.busy_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Stripes {
    pub(crate) fn new() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let count = workers.next_power_of_two().min(MOST_STRIPES);
        let stripe = || Stripe {
            bytes_received: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
            outcomes: [const { AtomicU64::new(0) }; Outcome::ALL.len()],
            duration_nanos: AtomicU64::new(0),
            durations: AtomicHistogram::with_config(&shape::CONFIG),
            busy_nanos: AtomicU64::new(0),
        };
        Self {
            stripes: (0..count).map(|_| CachePadded::new(stripe())).collect(),
        }
    }

    /// The stripe of the thread that asks.
    pub(crate) fn mine(&self) -> &Stripe {
        &self.stripes[thread_number() & (self.stripes.len() - 1)]
    }

    /// The sum over all stripes.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let mut in_flight = 0;
        for stripe in &self.stripes {
            totals.bytes_received += stripe.bytes_received.load(Ordering::Relaxed);
            totals.bytes_sent += stripe.bytes_sent.load(Ordering::Relaxed);
            totals.requests += stripe.requests.load(Ordering::Relaxed);
            in_flight += stripe.in_flight.load(Ordering::Relaxed);
            for (total, outcome) in totals.outcomes.iter_mut().zip(&stripe.outcomes) {
                *total += outcome.load(Ordering::Relaxed);
            }
            totals.duration_nanos += stripe.duration_nanos.load(Ordering::Relaxed);
            totals.busy_nanos += stripe.busy_nanos.load(Ordering::Relaxed);
        }
        totals.in_flight = u64::try_from(in_flight).unwrap_or(0);
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
    pub(crate) in_flight: u64,
    pub(crate) outcomes: [u64; Outcome::ALL.len()],
    pub(crate) duration_nanos: u64,
    pub(crate) busy_nanos: u64,
}

impl Totals {
    /// Requests that ended, however they did.
    pub(crate) fn ended(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Requests that got an answer.
    pub(crate) fn answered(&self) -> u64 {
        self.ended() - self.outcomes[Outcome::Cancelled as usize]
    }

    pub(crate) fn errors(&self) -> u64 {
        self.outcomes[Outcome::ServerError as usize]
    }
}

/// A small number for each thread, given out in order of first use.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}
