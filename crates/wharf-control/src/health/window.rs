//! [`HealthWindow`]: what one second says about a pool.

use std::time::Duration;

use super::status::{Cause, UnavailableCause};
use crate::ratio::ratio;

/// One second of measurements, each turned into a utilization: 0 is idle, 1 is all there is.
///
/// Built by naming what is known; a term that is left out (no limit, no objective, nothing
/// measured) does not count. Ratios of failures and rejections weigh double: half of them is the end.
#[derive(Clone, Debug, Default)]
pub struct HealthWindow {
    terms: [Option<Term>; TERMS.len()],
    pressure: f64,
    unavailable: Option<UnavailableCause>,
}

impl HealthWindow {
    /// A window in which nothing was measured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connections that hold a slot, and their limit: `active / limit`.
    #[must_use]
    pub fn connections(self, active: u64, limit: u64) -> Self {
        self.term(Cause::Connections, ratio(active, limit), Samples::Enough)
    }

    /// Requests in flight, and their limit: `0.9 · in_flight / limit`, for a limiter that is doing
    /// its work keeps them near the limit.
    #[must_use]
    pub fn requests(self, in_flight: u64, limit: u64) -> Self {
        let utilization = ratio(in_flight, limit).map(|ratio| ratio * 0.9);
        self.term(Cause::Requests, utilization, Samples::Enough)
    }

    /// Arrivals of this window, and how many of them were turned away: `2 · rejected / arrivals`.
    #[must_use]
    pub fn rejections(self, rejected: u64, arrivals: u64) -> Self {
        let utilization = ratio(rejected, arrivals).map(|ratio| ratio * ERROR_WEIGHT);
        self.term(Cause::Rejections, utilization, Samples::Counted(arrivals))
    }

    /// Requests that ended in this window, and how many of them failed: `2 · failed / requests`.
    #[must_use]
    pub fn errors(self, failed: u64, requests: u64) -> Self {
        let utilization = ratio(failed, requests).map(|ratio| ratio * ERROR_WEIGHT);
        self.term(Cause::Errors, utilization, Samples::Counted(requests))
    }

    /// The 99th percentile of the response time, its objective, and the number of requests behind
    /// it: `0.8 · p99 / objective`.
    #[must_use]
    pub fn latency(self, p99: Duration, objective: Duration, requests: u64) -> Self {
        let utilization = (!objective.is_zero()).then(|| p99.div_duration_f64(objective) * 0.8);
        self.term(Cause::Latency, utilization, Samples::Counted(requests))
    }

    /// The 99th percentile of the time that a ready task waits for its poll: `p99 / 20 ms`.
    #[must_use]
    pub fn scheduler_lag(self, p99: Duration) -> Self {
        let utilization = p99.div_duration_f64(Duration::from_millis(20));
        self.term(Cause::SchedulerLag, Some(utilization), Samples::Enough)
    }

    /// The pressure on the process's memory or descriptors, 1 being the end. Beside the other
    /// terms: it does not count as utilization, and is judged in its first window.
    #[must_use]
    pub fn pressure(self, pressure: f64) -> Self {
        Self { pressure, ..self }
    }

    /// The pool does not serve at all, whatever else this window says.
    #[must_use]
    pub fn unavailable(self, cause: UnavailableCause) -> Self {
        Self {
            unavailable: Some(cause),
            ..self
        }
    }

    pub(super) fn terms(&self) -> impl Iterator<Item = (Cause, Option<Term>)> {
        TERMS.into_iter().zip(self.terms)
    }

    /// The raw error ratio, if it rests on enough requests.
    pub(super) fn error_ratio(&self, min_samples: u64) -> Option<f64> {
        self.terms()
            .find(|(cause, _)| *cause == Cause::Errors)
            .and_then(|(_, term)| term)
            .filter(|term| term.samples.suffice(min_samples))
            .map(|term| term.utilization / ERROR_WEIGHT)
    }

    pub(super) const fn pressure_now(&self) -> f64 {
        self.pressure
    }

    pub(super) const fn unavailable_now(&self) -> Option<UnavailableCause> {
        self.unavailable
    }

    fn term(mut self, cause: Cause, utilization: Option<f64>, samples: Samples) -> Self {
        if let Some(index) = TERMS.iter().position(|term| *term == cause) {
            self.terms[index] = match (utilization, samples) {
                (Some(utilization), samples) => Some(Term {
                    utilization,
                    samples,
                }),
                // A ratio of nothing says nothing, but it is a ratio still: its last value holds.
                (None, Samples::Counted(_)) => Some(Term {
                    utilization: 0.0,
                    samples,
                }),
                (None, Samples::Enough) => None,
            };
        }
        self
    }
}

/// The causes that have a utilization; one that comes earlier is named first when two are equal.
pub(super) const TERMS: [Cause; 6] = [
    Cause::Connections,
    Cause::Requests,
    Cause::Rejections,
    Cause::Errors,
    Cause::Latency,
    Cause::SchedulerLag,
];

/// One measured term.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) utilization: f64,
    pub(super) samples: Samples,
}

/// What a term rests on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Samples {
    /// It is a level, read off: always good.
    Enough,
    /// It is a ratio or a percentile of so many.
    Counted(u64),
}

impl Samples {
    pub(super) const fn suffice(self, min_samples: u64) -> bool {
        match self {
            Self::Enough => true,
            Self::Counted(samples) => samples >= min_samples && samples > 0,
        }
    }
}

/// Half of the requests failing is as bad as it gets.
const ERROR_WEIGHT: f64 = 2.0;
