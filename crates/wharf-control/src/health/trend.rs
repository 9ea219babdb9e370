//! [`Trend`]: the hits of the last windows.

use super::history::History;
use super::thresholds::HealthThresholds;
use super::window::HealthWindow;

/// The hits of the last windows, for each state that begins with some.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trend {
    degraded: History,
    overloaded: History,
    /// Only of windows with enough requests to judge.
    failing: History,
    /// How many windows ago that was.
    unjudged: u32,
}

impl Trend {
    pub(super) fn observe(
        &mut self,
        window: &HealthWindow,
        utilization: f64,
        thresholds: &HealthThresholds,
    ) {
        self.degraded.push(utilization >= thresholds.degraded.enter);
        self.overloaded
            .push(utilization >= thresholds.overloaded.enter);
        if let Some(error_ratio) = window.error_ratio(thresholds.min_samples) {
            self.failing.push(error_ratio >= thresholds.failing_ratio);
            self.unjudged = 0;
        } else if self.unjudged < thresholds.hold_windows {
            self.unjudged += 1;
        } else {
            self.failing = History::default();
        }
    }

    pub(super) fn degraded(self, thresholds: &HealthThresholds) -> bool {
        self.degraded
            .reaches(thresholds.degraded.hits, thresholds.degraded.of)
    }

    pub(super) fn overloaded(self, thresholds: &HealthThresholds) -> bool {
        self.overloaded
            .reaches(thresholds.overloaded.hits, thresholds.overloaded.of)
    }

    pub(super) fn failing(self, thresholds: &HealthThresholds) -> bool {
        self.failing
            .reaches(thresholds.failing_windows, thresholds.failing_windows)
    }

    /// Whether the last window that could be judged failed.
    pub(super) fn failed_last(self) -> bool {
        self.failing.last()
    }
}
