//! [`Standing`]: how well an endpoint does, from all answers to all workers.

use std::time::Duration;

use tokio::time::Instant;
use wharf_control::Timestamp;
use wharf_control::upstream::{
    Admission, EjectionBudget, EjectionCause, LATENCY_UNKNOWN, Outcome, Outlier, OutlierSettings,
    PeakEwma, PhantomLoad, Returned, SlowStart, latency_cost, request_cost,
};

use super::Endpoint;
use super::silence::Silence;

/// What is known of how well an endpoint does.
pub(crate) struct Standing {
    latency: PeakEwma,
    phantom: PhantomLoad,
    outlier: Outlier,
    slow_start: SlowStart,
    silence: Silence,
    pub(crate) failures: u64,
}

/// What came of a request, as far as the endpoint is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It answered after this long.
    Good(Duration),
    /// It said that it failed, or nothing.
    Failed { retry_after: Option<Duration> },
    /// It asked to be spared.
    Throttled { retry_after: Option<Duration> },
}

impl Standing {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            latency: PeakEwma::new(LATENCY_UNKNOWN, now),
            phantom: PhantomLoad::new(),
            outlier: Outlier::new(OutlierSettings::default(), now),
            slow_start: SlowStart::warm(SlowStart::WINDOW),
            silence: Silence::default(),
            failures: 0,
        }
    }

    /// What it may be given.
    pub(crate) fn admission(&self, now: Timestamp) -> Admission {
        self.outlier.admission(now)
    }

    /// Forgets what was held against it.
    pub(crate) fn reinstate(&mut self, budget: &mut EjectionBudget, now: Timestamp) {
        self.outlier.reinstate(budget, now);
    }

    /// It is well again, as something says that knows better than answers do.
    pub(crate) fn back(&mut self, budget: &mut EjectionBudget, now: Timestamp) {
        self.outlier.reinstate(budget, now);
        self.begin_again(now);
    }

    /// It is there again. What it did before it went says nothing of how it does now: a failure counts as five
    /// seconds, which would keep it from being asked for a minute. That it is not run over is for the slow start.
    pub(crate) fn begin_again(&mut self, now: Timestamp) {
        self.latency = PeakEwma::new(LATENCY_UNKNOWN, now);
        self.phantom = PhantomLoad::new();
        self.silence = Silence::default();
        self.slow_start.begin(now);
    }

    /// Judges by other numbers from now on.
    pub(crate) const fn set(&mut self, settings: OutlierSettings) {
        self.outlier.set(settings);
    }

    /// Takes the one probe that a returning endpoint gets.
    pub(crate) fn begin_probe(&mut self, now: Timestamp) -> bool {
        self.outlier.begin_probe(now)
    }

    /// What asking it costs, by latency.
    pub(crate) fn latency_cost(&self, in_flight: u32, weight: u32, now: Timestamp) -> f64 {
        let weight = f64::from(weight) * self.slow_start.share(now);
        latency_cost(&self.latency, in_flight, weight, now)
    }

    /// What asking it costs, by requests in flight.
    pub(crate) fn request_cost(&self, in_flight: u32, weight: u32, now: Timestamp) -> f64 {
        let weight = f64::from(weight) * self.slow_start.share(now);
        request_cost(in_flight, self.phantom.requests(now), weight)
    }

    /// How long it takes to answer.
    pub(crate) fn latency(&self, now: Timestamp) -> Duration {
        self.latency.latency(now)
    }
}

/// The word for why an endpoint is left alone.
const fn cause(cause: EjectionCause) -> &'static str {
    match cause {
        EjectionCause::Consecutive => "consecutive_failures",
        EjectionCause::Probe => "probe",
        // Of causes that are newer than this code most are of this kind.
        EjectionCause::Ratio | _ => "success_ratio",
    }
}

impl Endpoint {
    /// The probe has ended without an outcome: the next request may be one.
    pub(super) fn call_off(&self) {
        let now = self.context.clock.now();
        self.standing().outlier.call_off_probe(now);
    }

    /// Whether it is left alone for what its answers were.
    pub(crate) fn is_ejected(&self) -> bool {
        let now = self.context.clock.now();
        self.standing().admission(now) == Admission::Leave
    }

    /// Checks find it well: one request may see whether it is.
    pub(crate) fn hasten_probe(&self) {
        let now = self.context.clock.now();
        self.standing().outlier.hasten_probe(now);
    }

    /// It has said something of which it is not yet known whether it is good.
    pub(crate) fn heard(&self) {
        self.standing().silence.broken();
    }

    /// Another endpoint has answered a request first that this one has had for so long: it takes at least that.
    pub(crate) fn outrun(&self, after: Duration) {
        let now = self.context.clock.now();
        let mut standing = self.standing();
        if after > standing.latency(now) {
            standing.latency.on_answer(after, now);
        }
    }

    /// Somebody has waited for an answer since then, and waits no longer; true if that is the endpoint's fault.
    pub(crate) fn is_to_blame(&self, since: Timestamp) -> bool {
        let now = self.context.clock.now();
        self.standing().silence.unanswered(since, now)
    }

    /// Notes what has come of a request by now.
    pub(crate) fn note(&self, answer: Answer, now: Instant) {
        let now = self.context.clock.at(now);
        let mut standing = self.standing();
        if self.has_left() {
            // What was in flight when it left is judged no more: nobody would give back its place in the budget.
            // Looked at under the lock, under which whoever leaves gives that back.
            return;
        }
        let outcome = match answer {
            Answer::Good(took) => {
                standing.latency.on_answer(took, now);
                standing.silence.answered(took);
                Outcome::Success
            }
            Answer::Failed { retry_after } | Answer::Throttled { retry_after } => {
                standing.latency.on_failure(retry_after, now);
                standing.phantom.on_failure(now);
                standing.failures += 1;
                match answer {
                    Answer::Throttled { .. } => Outcome::Throttled,
                    Answer::Good(_) | Answer::Failed { .. } => Outcome::Failure,
                }
            }
        };
        let mut random = self.context.random();
        let mut budget = self.context.budget();
        let returned = standing
            .outlier
            .record(outcome, &mut budget, &mut random, now);
        drop(budget);
        match returned {
            Returned::Unchanged => {}
            Returned::Ejected(ejection) => {
                drop(standing);
                self.tally.ejected();
                self.tell("ejected", cause(ejection.cause));
            }
            Returned::Back => {
                standing.begin_again(now);
                drop(standing);
                self.tell("ready", "probe");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn what_an_endpoint_did_before_it_went_is_not_held_against_it_when_it_is_back() {
        let mut standing = Standing::new(at(0));
        standing.latency.on_failure(None, at(1));
        standing.phantom.on_failure(at(1));
        assert!(standing.latency(at(2)) > Duration::from_secs(4));
        assert!(standing.request_cost(0, 1, at(2)) > 5.0);
        standing.begin_again(at(2));
        assert_eq!(standing.latency(at(2)), LATENCY_UNKNOWN);
        // A tenth of its share at first.
        assert!((standing.request_cost(0, 1, at(2)) - 10.0).abs() < 1e-9);
        assert!((standing.request_cost(0, 1, at(32)) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn whoever_waited_in_vain_before_it_was_back_is_not_its_fault_now() {
        let millis = |it| Timestamp::after_start(Duration::from_millis(it));
        let mut standing = Standing::new(at(0));
        assert!(!standing.silence.unanswered(millis(0), millis(900)));
        standing.begin_again(at(1));
        assert!(!standing.silence.unanswered(millis(1000), millis(1900)));
        assert!(standing.silence.unanswered(millis(1900), millis(2100)));
    }
}
