//! [`Work`]: what the handler computes.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wharf_control::spread;

/// On average.
const MEAN: Duration = Duration::from_millis(2);

/// What the handler computes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// On average.
    rounds: f64,
}

impl Work {
    /// So much that it takes as long as it is to take, on average, when nobody disturbs it.
    pub(crate) fn calibrated() -> Self {
        const ROUNDS: f64 = 20_000_000.0;
        spin(ROUNDS);
        let begun = Instant::now();
        spin(ROUNDS);
        Self {
            rounds: ROUNDS * MEAN.div_duration_f64(begun.elapsed()),
        }
    }

    /// Does it.
    pub(crate) fn once(self) {
        spin(self.rounds * exponential());
    }
}

/// Rounds and not time: whoever is kept from the processor has not worked.
fn spin(rounds: f64) {
    let mut left = rounds;
    while left > 0.0 {
        left = black_box(left - 1.0);
    }
}

/// Exponential with a mean of one.
fn exponential() -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    -(1.0 - spread(NEXT.fetch_add(1, Ordering::Relaxed), 0)).ln()
}
