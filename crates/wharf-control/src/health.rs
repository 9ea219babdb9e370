//! [`HealthMachine`]: from measurements, once a second, to one of four states that do not flap.
//!
//! Begin with [`HealthMachine::on_window`]. The parts: `status` has the words, `window` turns
//! measurements into utilizations, `thresholds` has every number, `load` holds ratios over quiet
//! seconds, `trend` and `history` answer "N of the last M", `flap` damps.

mod flap;
mod history;
mod load;
mod status;
mod thresholds;
mod trend;
mod window;

use std::time::Duration;

pub use status::{Cause, HealthStatus, UnavailableCause};
pub use thresholds::{Band, FlapThresholds, HealthThresholds};
pub use window::HealthWindow;

use crate::Timestamp;
use flap::Flap;
use load::Load;
use trend::Trend;

/// The health of one pool, in four states with hysteresis.
///
/// A change for the worse happens in the window that proves it, and may skip a level. A change for
/// the better needs a run of good windows and a minimum dwell, and goes one level at a time;
/// unavailable ends in degraded (in overloaded where the load says so), never straight in healthy.
#[derive(Clone, Debug)]
pub struct HealthMachine {
    thresholds: HealthThresholds,
    status: HealthStatus,
    /// What holds the status, or held it last; `None` when healthy.
    cause: Option<Cause>,
    since: Timestamp,
    /// Windows in a row that speak for a better status.
    good_windows: u32,
    load: Load,
    trend: Trend,
    flap: Flap,
}

impl HealthMachine {
    /// A healthy machine.
    pub fn new(thresholds: HealthThresholds, now: Timestamp) -> Self {
        Self {
            thresholds,
            status: HealthStatus::Healthy,
            cause: None,
            since: now,
            good_windows: 0,
            load: Load::default(),
            trend: Trend::default(),
            flap: Flap::default(),
        }
    }

    /// Judges one window and gives the transition, if this window brings one.
    ///
    /// To be called once a second. A second that is missed is no window: runs of windows then last
    /// longer, which errs on the side of the present state.
    pub fn on_window(&mut self, window: &HealthWindow, now: Timestamp) -> Option<HealthTransition> {
        self.load.observe(window, &self.thresholds);
        self.trend
            .observe(window, self.utilization(), &self.thresholds);

        let (demanded, cause) = self.demanded(window);
        if demanded > self.status {
            return Some(self.enter(demanded, cause, now));
        }
        if self.holds(window) {
            self.good_windows = 0;
            self.cause = self.held_by(demanded, cause);
            return None;
        }
        self.good_windows = self.good_windows.saturating_add(1);
        let run_ended = self.good_windows >= self.windows_to_leave();
        if !run_ended || now - self.since < self.dwell(now) {
            return None;
        }
        let better = self.one_better(demanded)?;
        Some(self.enter(better, self.cause, now))
    }

    /// The state.
    pub const fn status(&self) -> HealthStatus {
        self.status
    }

    /// What the state is due to: the highest term, or what keeps the pool from serving. `None` when
    /// healthy. While a state only waits for its end it is what held it last.
    pub const fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// The highest utilization of the last window, zero if nothing was measured. Over 1 is possible.
    pub fn utilization(&self) -> f64 {
        self.load
            .highest()
            .map_or(0.0, |(_, utilization)| utilization)
    }

    /// The worst state that this window proves, whatever the state is.
    fn demanded(&self, window: &HealthWindow) -> (HealthStatus, Option<Cause>) {
        let highest = self.load.highest().map(|(cause, _)| cause);
        if let Some(cause) = window.unavailable_now() {
            (HealthStatus::Unavailable, Some(Cause::Unavailable(cause)))
        } else if self.trend.failing(&self.thresholds) {
            (HealthStatus::Unavailable, Some(Cause::Errors))
        } else if window.pressure_now() >= self.thresholds.pressure {
            (HealthStatus::Overloaded, Some(Cause::Pressure))
        } else if self.trend.overloaded(&self.thresholds) {
            (HealthStatus::Overloaded, highest)
        } else if self.trend.degraded(&self.thresholds) {
            (HealthStatus::Degraded, highest)
        } else {
            (HealthStatus::Healthy, None)
        }
    }

    /// Whether this window speaks against a better state.
    fn holds(&self, window: &HealthWindow) -> bool {
        match self.status {
            HealthStatus::Healthy => true,
            HealthStatus::Degraded => self.utilization() >= self.thresholds.degraded.exit,
            HealthStatus::Overloaded => {
                let exit = self.thresholds.overloaded.exit;
                self.utilization() >= exit || window.pressure_now() >= exit
            }
            HealthStatus::Unavailable => {
                window.unavailable_now().is_some() || self.trend.failed_last()
            }
        }
    }

    /// The cause to name for a state that this window holds.
    fn held_by(&self, demanded: HealthStatus, cause: Option<Cause>) -> Option<Cause> {
        let highest = self.load.highest().map(|(cause, _)| cause);
        match self.status {
            HealthStatus::Healthy => None,
            HealthStatus::Degraded => highest,
            HealthStatus::Overloaded if self.utilization() >= self.thresholds.overloaded.exit => {
                highest
            }
            HealthStatus::Overloaded => Some(Cause::Pressure),
            HealthStatus::Unavailable if demanded == HealthStatus::Unavailable => cause,
            HealthStatus::Unavailable => self.cause,
        }
    }

    const fn windows_to_leave(&self) -> u32 {
        match self.status {
            HealthStatus::Healthy | HealthStatus::Degraded => self.thresholds.degraded.exit_windows,
            HealthStatus::Overloaded => self.thresholds.overloaded.exit_windows,
            HealthStatus::Unavailable => self.thresholds.recovered_windows,
        }
    }

    /// The next state for the better. From unavailable it is the one that the load demands, or else
    /// degraded: to report degraded for one window on the way to overloaded would be flapping.
    fn one_better(&self, demanded: HealthStatus) -> Option<HealthStatus> {
        match self.status {
            HealthStatus::Healthy => None,
            HealthStatus::Degraded => Some(HealthStatus::Healthy),
            HealthStatus::Overloaded => Some(HealthStatus::Degraded),
            HealthStatus::Unavailable => Some(demanded.max(HealthStatus::Degraded)),
        }
    }

    /// The shortest stay in the present state. Unavailable has one only after flapping: its own run
    /// of good windows is enough proof that it is over.
    fn dwell(&mut self, now: Timestamp) -> Duration {
        let flap = &self.thresholds.flap;
        if self.flap.suppressed(now, flap) {
            self.thresholds.dwell.saturating_mul(flap.dwell_factor)
        } else if self.status == HealthStatus::Unavailable {
            Duration::ZERO
        } else {
            self.thresholds.dwell
        }
    }

    /// The one place where the state changes.
    fn enter(
        &mut self,
        to: HealthStatus,
        cause: Option<Cause>,
        now: Timestamp,
    ) -> HealthTransition {
        let from = std::mem::replace(&mut self.status, to);
        self.cause = cause.filter(|_| to != HealthStatus::Healthy);
        self.since = now;
        self.good_windows = 0;
        self.flap.transition(now, &self.thresholds.flap);
        HealthTransition {
            from,
            to,
            cause,
            utilization: self.utilization(),
        }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthTransition {
    /// The state before.
    pub from: HealthStatus,
    /// The state now.
    pub to: HealthStatus,
    /// For the worse: what brought it about. For the better: what is over, or at least less.
    pub cause: Option<Cause>,
    /// The highest utilization of the window that brought it about.
    pub utilization: f64,
}

#[cfg(test)]
mod tests;
