//! [`SlowStart`]: an endpoint that has just come back is not given its whole share.

use std::time::Duration;

use crate::Timestamp;

/// The share of its weight that a new or returned endpoint gets: `max(0.1, t/30 s)`, one from 30 s on.
///
/// Envoy's rule with aggression 1. A cold cache, a cold JIT and an empty pool are slow; with the full
/// share at once an endpoint may fall over again. For an endpoint among the first of its list there is no slow start:
/// somebody has to serve.
#[derive(Clone, Copy, Debug)]
pub struct SlowStart {
    since: Option<Timestamp>,
    window: Duration,
}

impl SlowStart {
    /// How long it takes by default.
    pub const WINDOW: Duration = Duration::from_secs(30);
    /// The share that it begins with.
    pub const LEAST: f64 = 0.1;

    /// An endpoint that has its whole share.
    pub const fn warm(window: Duration) -> Self {
        Self {
            since: None,
            window,
        }
    }

    /// The endpoint has just come, or come back.
    pub const fn begin(&mut self, now: Timestamp) {
        self.since = Some(now);
    }

    /// The share as of now, from [`LEAST`](Self::LEAST) to 1.
    pub fn share(&self, now: Timestamp) -> f64 {
        match self.since {
            Some(since) if !self.window.is_zero() => (now - since)
                .div_duration_f64(self.window)
                .clamp(Self::LEAST, 1.0),
            Some(_) | None => 1.0,
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these quotients are exact")]
mod tests {
    use std::time::Duration;

    use super::SlowStart;
    use crate::Timestamp;

    #[test]
    fn the_share_grows_from_a_tenth_to_the_whole_in_thirty_seconds() {
        let at = |second| Timestamp::after_start(Duration::from_secs(second));
        let mut start = SlowStart::warm(SlowStart::WINDOW);
        assert_eq!(start.share(at(0)), 1.0);
        start.begin(at(100));
        let shares = [100, 103, 115, 130, 900].map(|second| start.share(at(second)));
        assert_eq!(shares, [0.1, 0.1, 0.5, 1.0, 1.0]);
        let mut none = SlowStart::warm(Duration::ZERO);
        none.begin(at(0));
        assert_eq!(none.share(at(0)), 1.0);
    }
}
