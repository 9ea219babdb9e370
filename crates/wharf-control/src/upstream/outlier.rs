//! [`Outlier`]: an endpoint that fails is left alone for a while, then tried with one request.
//!
//! Begin with [`Outlier::record`] and [`Outlier::admission`]. `settings` has the numbers; how many may be
//! out at once is the [`EjectionBudget`]'s.

mod settings;

pub use settings::OutlierSettings;

use std::time::Duration;

use super::EjectionBudget;
use crate::{Random, SlidingRatio, Timestamp};

/// How a request to an endpoint ended, as far as the endpoint is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers build it")]
pub enum Outcome {
    /// It answered.
    Success,
    /// It said that it failed (HTTP 5xx, gRPC 2, 4, 8, 13, 14, 15), or nothing: refused, reset, late.
    Failure,
    /// It asked to be spared (HTTP 429): no failure in a row, but none of the successes, and a probe that
    /// is answered so has failed.
    Throttled,
}

/// What an endpoint may be given now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all cases are to be handled")]
pub enum Admission {
    /// Requests.
    Serve,
    /// One request, to see whether it is back: call [`Outlier::begin_probe`] and send it.
    Probe,
    /// Nothing.
    Leave,
}

/// Why an endpoint was ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EjectionCause {
    /// It failed several times in a row.
    Consecutive,
    /// Too many of its answers of the last seconds were no successes.
    Ratio,
    /// It was ejected, was tried, and failed again.
    Probe,
}

/// An endpoint is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Why.
    pub cause: EjectionCause,
    /// Until then; then it is tried.
    pub until: Timestamp,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all cases are to be handled")]
pub enum Returned {
    /// Nothing.
    Unchanged,
    /// The endpoint is left alone from now on.
    Ejected(Ejection),
    /// The probe was answered: the endpoint serves again. Its slow start begins.
    Back,
}

/// The judgement about one endpoint, shared by all who ask it.
///
/// Ejected is who failed 5 times in a row, or answered with under half successes of at least 20 requests
/// in 10 s. For `min(30 s · k, 300 s)`, up to 10 % longer: `k` grows with each ejection and falls by one for each 10 s
/// of service. Then one request is sent; its answer decides. What comes in from requests
/// that were on the way when it was ejected decides nothing. The rules are those of Envoy and gRPC A50 with the half-open
/// probe of linkerd; ratios are counted and not averaged, for an average of bursts is that of their last moment.
#[derive(Clone, Debug)]
pub struct Outlier {
    settings: OutlierSettings,
    state: State,
    failures_in_a_row: u32,
    successes: SlidingRatio<10>,
    /// How often it has been ejected, less what good times have taken off.
    times: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Serving { since: Timestamp },
    Ejected { until: Timestamp },
    Probing { since: Timestamp },
}

impl Outlier {
    /// An endpoint that serves.
    pub const fn new(settings: OutlierSettings, now: Timestamp) -> Self {
        Self {
            settings,
            state: State::Serving { since: now },
            failures_in_a_row: 0,
            successes: SlidingRatio::new(now),
            times: 0,
        }
    }

    /// Takes other numbers from now on.
    pub const fn set(&mut self, settings: OutlierSettings) {
        self.settings = settings;
    }

    /// What the endpoint may be given.
    pub fn admission(&self, now: Timestamp) -> Admission {
        match self.state {
            State::Serving { .. } => Admission::Serve,
            State::Ejected { until } if now >= until => Admission::Probe,
            // A probe whose end nobody tells must not keep the endpoint out for ever.
            State::Probing { since } if now - since >= self.settings.probe_timeout => {
                Admission::Probe
            }
            State::Ejected { .. } | State::Probing { .. } => Admission::Leave,
        }
    }

    /// Takes the one probe; false if it is not due, or another has taken it. What is recorded next is
    /// taken for its outcome.
    pub fn begin_probe(&mut self, now: Timestamp) -> bool {
        let due = self.admission(now) == Admission::Probe;
        if due {
            self.state = State::Probing { since: now };
        }
        due
    }

    /// Something says that it may be well (active checks that succeed): the probe is due now. It still decides, for
    /// what answers a check may yet fail requests.
    pub const fn hasten_probe(&mut self, now: Timestamp) {
        if let State::Ejected { until } = &mut self.state
            && until.as_nanos() > now.as_nanos()
        {
            *until = now;
        }
    }

    /// The probe was called off before it had an outcome: the next request may be one.
    pub const fn call_off_probe(&mut self, now: Timestamp) {
        if let State::Probing { .. } = self.state {
            self.state = State::Ejected { until: now };
        }
    }

    /// A request has ended.
    pub fn record(
        &mut self,
        outcome: Outcome,
        budget: &mut EjectionBudget,
        random: &mut Random,
        now: Timestamp,
    ) -> Returned {
        match (self.state, outcome) {
            (State::Ejected { .. }, _) => Returned::Unchanged,
            (State::Probing { .. }, Outcome::Success) => {
                self.serve_again(budget, now);
                Returned::Back
            }
            (State::Probing { .. }, Outcome::Failure | Outcome::Throttled) => {
                Returned::Ejected(self.eject(EjectionCause::Probe, random, now))
            }
            (State::Serving { since }, _) => {
                self.count(outcome, now);
                match self.verdict(now) {
                    Some(cause) if budget.take() => {
                        self.forgive(now - since);
                        Returned::Ejected(self.eject(cause, random, now))
                    }
                    Some(_) | None => Returned::Unchanged,
                }
            }
        }
    }

    /// The endpoint is no longer one of the upstream's, or something that knows better (an active check)
    /// says that it is well: its place in the budget is free, and what was held against it forgotten.
    pub fn reinstate(&mut self, budget: &mut EjectionBudget, now: Timestamp) {
        if !matches!(self.state, State::Serving { .. }) {
            self.serve_again(budget, now);
        }
    }

    fn count(&mut self, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Success => self.failures_in_a_row = 0,
            Outcome::Failure => self.failures_in_a_row = self.failures_in_a_row.saturating_add(1),
            Outcome::Throttled => {}
        }
        self.successes
            .add(u64::from(outcome == Outcome::Success), 1, now);
    }

    fn verdict(&self, now: Timestamp) -> Option<EjectionCause> {
        let enough = self.successes.samples(now) >= self.settings.min_requests;
        let ratio = self.successes.ratio(now).unwrap_or(1.0);
        if self.failures_in_a_row >= self.settings.consecutive.get() {
            Some(EjectionCause::Consecutive)
        } else if enough && ratio < self.settings.success_ratio {
            Some(EjectionCause::Ratio)
        } else {
            None
        }
    }

    /// Good times take off what bad ones have added.
    fn forgive(&mut self, served: Duration) {
        let intervals = served.as_secs() / self.settings.forgive_each.as_secs().max(1);
        let intervals = u32::try_from(intervals).unwrap_or(u32::MAX);
        self.times = self.times.saturating_sub(intervals);
    }

    fn eject(&mut self, cause: EjectionCause, random: &mut Random, now: Timestamp) -> Ejection {
        self.times = self.times.saturating_add(1);
        let base = self.settings.base.saturating_mul(self.times);
        let length = base.min(self.settings.longest);
        let until = now
            .after(length)
            .after(length.mul_f64(self.settings.jitter.clamp(0.0, 1.0) * random.unit()));
        self.state = State::Ejected { until };
        self.forget(now);
        Ejection { cause, until }
    }

    fn serve_again(&mut self, budget: &mut EjectionBudget, now: Timestamp) {
        budget.give_back();
        self.state = State::Serving { since: now };
        self.forget(now);
    }

    const fn forget(&mut self, now: Timestamp) {
        self.failures_in_a_row = 0;
        self.successes = SlidingRatio::new(now);
    }
}

#[cfg(test)]
mod tests;
