//! [`Flap`]: the memory of how often the status changed lately.

use super::thresholds::FlapThresholds;
use crate::Timestamp;

/// RFC 2439's figure of merit: one for each transition, halved by time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flap {
    penalty: f64,
    at: Timestamp,
    suppressed: bool,
}

impl Flap {
    /// Counts one transition.
    pub(super) fn transition(&mut self, now: Timestamp, thresholds: &FlapThresholds) {
        self.decay(now, thresholds);
        self.penalty += 1.0;
        self.suppressed |= self.penalty > thresholds.suppress_over;
    }

    /// Whether changes for the better have to wait longer.
    pub(super) fn suppressed(&mut self, now: Timestamp, thresholds: &FlapThresholds) -> bool {
        self.decay(now, thresholds);
        self.suppressed &= self.penalty >= thresholds.reuse_under;
        self.suppressed
    }

    fn decay(&mut self, now: Timestamp, thresholds: &FlapThresholds) {
        let half_lives = (now - self.at).div_duration_f64(thresholds.half_life);
        // A half-life of zero makes this infinite, or not a number when no time has passed.
        if half_lives > 0.0 {
            self.penalty *= (-half_lives).exp2();
        }
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Flap;
    use crate::Timestamp;
    use crate::health::HealthThresholds;

    fn second(second: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_secs(second))
    }

    #[test]
    fn more_than_four_transitions_at_once_suppress_until_the_penalty_is_under_two() {
        let thresholds = HealthThresholds::default().flap;
        let mut flap = Flap::default();
        for _ in 0..4 {
            flap.transition(second(0), &thresholds);
        }
        assert!(!flap.suppressed(second(0), &thresholds));
        flap.transition(second(0), &thresholds);
        assert!(flap.suppressed(second(0), &thresholds));
        // 5 · 2^(-t/60) < 2 from t = 79.3 s on.
        assert!(flap.suppressed(second(79), &thresholds));
        assert!(!flap.suppressed(second(80), &thresholds));
    }

    #[test]
    fn transitions_far_apart_never_suppress() {
        let thresholds = HealthThresholds::default().flap;
        let mut flap = Flap::default();
        for minute in 0..100 {
            flap.transition(second(minute * 60), &thresholds);
            assert!(!flap.suppressed(second(minute * 60), &thresholds));
        }
    }
}
