//! [`Stripes`]: what requests tell the law, one part for each worker.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_utils::CachePadded;
use wharf_control::Timestamp;
use wharf_control::overload::LimitRecorder;
use wharf_pool::thread_number;

/// More stripes than workers only cost memory.
const MOST_STRIPES: usize = 64;

/// What requests tell the law. Two threads that share a stripe only meet.
pub(super) struct Stripes(Box<[CachePadded<Mutex<LimitRecorder>>]>);

impl Stripes {
    pub(super) fn new() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let count = workers.next_power_of_two().min(MOST_STRIPES);
        let stripe = || CachePadded::new(Mutex::new(LimitRecorder::new(Timestamp::ZERO)));
        Self((0..count).map(|_| stripe()).collect())
    }

    /// That of the thread that asks.
    pub(super) fn mine(&self) -> MutexGuard<'_, LimitRecorder> {
        lock(&self.0[thread_number() & (self.0.len() - 1)])
    }

    /// Moves all that was told into `sum`.
    pub(super) fn drain_into(&self, sum: &mut LimitRecorder) {
        for stripe in &self.0 {
            sum.take_from(&mut lock(stripe));
        }
    }
}

fn lock(stripe: &Mutex<LimitRecorder>) -> MutexGuard<'_, LimitRecorder> {
    stripe.lock().unwrap_or_else(PoisonError::into_inner)
}
