//! [`PhantomLoad`]: failures as requests that seem to be still in flight.

use std::time::Duration;

use crate::Timestamp;

/// Load that is not there: each failure adds eight requests, which fade with `exp(-t/10 s)`.
///
/// For balancing by requests in flight, where latency is not asked for: an endpoint that fails at once
/// has none, and would get everybody's. Bounded by [`MOST`](Self::MOST).
#[derive(Clone, Copy, Debug, Default)]
pub struct PhantomLoad {
    /// As of `at`.
    requests: f64,
    at: Timestamp,
}

impl PhantomLoad {
    /// What one failure adds.
    pub const EACH: f64 = 8.0;
    /// However often an endpoint fails, it seems to hold no more than this.
    pub const MOST: f64 = 1_000.0;
    const TAU: Duration = Duration::from_secs(10);

    /// An endpoint that never failed.
    pub const fn new() -> Self {
        Self {
            requests: 0.0,
            at: Timestamp::ZERO,
        }
    }

    /// The endpoint failed.
    pub fn on_failure(&mut self, now: Timestamp) {
        self.requests = (self.requests(now) + Self::EACH).min(Self::MOST);
        self.at = self.at.max(now);
    }

    /// How many requests it seems to hold beside the real ones.
    pub fn requests(&self, now: Timestamp) -> f64 {
        self.requests * (-(now - self.at).div_duration_f64(Self::TAU)).exp()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::PhantomLoad;
    use crate::Timestamp;

    #[test]
    fn failures_add_up_to_a_bound_and_fade() {
        let at = |second| Timestamp::after_start(Duration::from_secs(second));
        let mut phantom = PhantomLoad::new();
        assert!(phantom.requests(at(5)).abs() < 1e-9);
        phantom.on_failure(at(5));
        phantom.on_failure(at(5));
        assert!((phantom.requests(at(5)) - 16.0).abs() < 1e-9);
        assert!((phantom.requests(at(15)) - 5.886).abs() < 1e-3);
        for _ in 0..1_000 {
            phantom.on_failure(at(15));
        }
        assert!((phantom.requests(at(15)) - PhantomLoad::MOST).abs() < 1e-9);
    }
}
