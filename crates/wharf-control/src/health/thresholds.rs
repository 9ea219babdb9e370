//! [`HealthThresholds`]: every number of the health state machine, in one place.

use std::time::Duration;

/// When a [`HealthMachine`](crate::HealthMachine) changes its mind. Windows are one second each.
///
/// The anti-flap tools and most numbers are those in the field (Envoy, `HAProxy`, Kubernetes, finagle):
/// separate enter and exit thresholds, N of M windows, a least number of samples (finagle 5,
/// Envoy and YARP 10, here 20), a minimum dwell, and RFC 2439's penalty for flapping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthThresholds {
    /// Degraded: from 0.80 in 3 of 5 windows, until under 0.65 for 10.
    pub degraded: Band,
    /// Overloaded: from 0.95 in 2 of 3 windows, until under 0.80 for 10.
    pub overloaded: Band,
    /// The pressure that means overloaded in its first window: 0.95. It ends under
    /// [`overloaded.exit`](Band::exit).
    pub pressure: f64,
    /// The error ratio that means unavailable: 0.9 …
    pub failing_ratio: f64,
    /// … in so many judged windows in a row: 3, at most 32.
    pub failing_windows: u32,
    /// Good windows in a row that end unavailable: 2.
    pub recovered_windows: u32,
    /// Fewer samples than this in a window say nothing about a ratio: 20.
    pub min_samples: u64,
    /// For so many windows a ratio without enough samples holds its last value: 10. Then it is
    /// forgotten, for a pool that nobody calls any more must not stay bad for ever: a balancer that
    /// avoids it would never learn that it has recovered.
    pub hold_windows: u32,
    /// The shortest stay in degraded and overloaded before a change for the better: 10 s.
    pub dwell: Duration,
    /// The penalty for flapping.
    pub flap: FlapThresholds,
}

impl Default for HealthThresholds {
    fn default() -> Self {
        Self {
            degraded: Band {
                enter: 0.80,
                hits: 3,
                of: 5,
                exit: 0.65,
                exit_windows: 10,
            },
            overloaded: Band {
                enter: 0.95,
                hits: 2,
                of: 3,
                exit: 0.80,
                exit_windows: 10,
            },
            pressure: 0.95,
            failing_ratio: 0.9,
            failing_windows: 3,
            recovered_windows: 2,
            min_samples: 20,
            hold_windows: 10,
            dwell: Duration::from_secs(10),
            flap: FlapThresholds {
                half_life: Duration::from_mins(1),
                suppress_over: 4.0,
                reuse_under: 2.0,
                dwell_factor: 4,
            },
        }
    }
}

/// The utilization at which a status begins and the lower one at which it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// A window at or over this utilization is a hit.
    pub enter: f64,
    /// So many hits …
    pub hits: u32,
    /// … among so many windows begin the status, at most 32.
    pub of: u32,
    /// A window under this utilization counts towards the end of the status.
    pub exit: f64,
    /// So many such windows in a row end it.
    pub exit_windows: u32,
}

/// How flapping is damped (RFC 2439, section 4.2): a penalty that each transition raises by one and
/// time takes away again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlapThresholds {
    /// The time in which a penalty halves: 60 s.
    pub half_life: Duration,
    /// Over this penalty the dwell is longer: 4.
    pub suppress_over: f64,
    /// Under this one it is normal again: 2.
    pub reuse_under: f64,
    /// How many times longer: 4. Then the dwell holds for unavailable too.
    pub dwell_factor: u32,
}
