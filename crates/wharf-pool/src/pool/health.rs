//! How well a pool is: judged once a second, told when it changes.

use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use wharf_control::{
    Cause, HealthMachine, HealthStatus, HealthThresholds, HealthTransition, HealthWindow,
    Timestamp, UnavailableCause,
};

use super::{Pool, PoolInner};
use crate::books::{Flow, Occupancy};
use crate::connection::Connection;
use crate::events::EventKind;
use crate::metrics::{Reading, Recent, Stripes, Summary};

/// A pool's health as it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// The state, with hysteresis: it gets worse at once and better slowly.
    pub status: HealthStatus,
    /// How much of the tightest limit that applies to the pool is used: its own, its listener's or
    /// the process's. Zero without any limit.
    pub utilization_ratio: f64,
    /// Connections that are open.
    pub active_connections: u32,
    /// How many connections the pool could hold at most; `None` without any limit.
    pub max_connections: Option<u32>,
    /// Newcomers turned away since start.
    pub rejected_connections: u64,
    /// The mean duration of the requests of the last minute.
    pub average_response_time: Duration,
    /// The part of the requests of the last minute that ended in a server error.
    pub error_rate: f64,
    /// A sentence that names the cause.
    pub message: String,
}

/// What the process as a whole brings into a pool's health.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) lag: Duration,
    pub(crate) pressure: f64,
    pub(crate) unavailable: Option<UnavailableCause>,
}

/// What is judged once a second.
#[derive(Debug)]
pub(super) struct Watch {
    machine: HealthMachine,
    recent: Recent,
    last: Second,
}

impl Watch {
    pub(super) fn new(now: Timestamp, hot: &Stripes) -> Self {
        Self {
            machine: HealthMachine::new(HealthThresholds::default(), now),
            recent: Recent::new(Reading::of(now, &Flow::default(), hot)),
            last: Second::default(),
        }
    }
}

/// The counters at the end of the last second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    accepted: u64,
    rejected: u64,
    answered: u64,
    errors: u64,
}

impl Second {
    fn window(self, last: Self) -> HealthWindow {
        let (rejected, accepted) = (self.rejected - last.rejected, self.accepted - last.accepted);
        HealthWindow::new()
            .rejections(rejected, rejected + accepted)
            .errors(self.errors - last.errors, self.answered - last.answered)
    }
}

impl<C: Connection> PoolInner<C> {
    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the counters say, and what is new in it since a minute ago.
    pub(super) fn read(&self) -> (Reading, Summary) {
        // Locked first: no mark is later than the reading.
        let watch = self.watch();
        let reading = self.reading();
        let summary = watch.recent.summary(&reading);
        (reading, summary)
    }

    fn reading(&self) -> Reading {
        let shared = &self.listener.shared;
        let flow = shared.books().flow(self.scope);
        Reading::of(shared.clock.now(), &flow, &self.hot)
    }
}

impl<C: Connection> Pool<C> {
    /// The pool's health as of the last second.
    pub fn health(&self) -> Health {
        let scopes = self.scopes();
        let (_, summary) = self.inner.read();
        let (status, cause) = {
            let watch = self.inner.watch();
            (watch.machine.status(), watch.machine.cause())
        };
        Health {
            status,
            utilization_ratio: tightest(&scopes).map_or(0.0, |(used, limit)| ratio(used, limit)),
            active_connections: scopes[0].active,
            max_connections: scopes.iter().filter_map(|scope| scope.limit).min(),
            rejected_connections: self.inner.rejections().all(),
            average_response_time: summary.average,
            error_rate: summary.error_rate(),
            message: message(status, cause),
        }
    }

    /// The pool, its listener and the process, at one moment.
    fn scopes(&self) -> [Occupancy; 3] {
        let shared = self.shared();
        let books = shared.books();
        let [pool, listener, process] =
            [self.inner.scope, self.inner.listener.scope, shared.process]
                .map(|s| books.occupancy(s));
        // For a newcomer here: what is kept for this very pool is room to it.
        let kept = books.kept_from(self.inner.path());
        [pool, listener, Occupancy { kept, ..process }]
    }

    /// Judges the last second. Called by the registry, once a second.
    pub(crate) fn judge(&self, now: Timestamp, surroundings: Surroundings) {
        let tightest = tightest(&self.scopes());
        let transition = {
            let mut watch = self.inner.watch();
            let window = self.last_second(&mut watch, tightest, surroundings);
            if watch.recent.wants_mark(now) {
                watch.recent.mark(self.inner.reading());
            }
            watch.machine.on_window(&window, now)
        };
        if let Some(transition) = transition {
            self.tell_transition(transition);
        }
        self.tell_all_rejected();
        self.shared()
            .tell_rehearsed(self.inner.scope, Some(self.name()));
    }

    fn last_second(
        &self,
        watch: &mut Watch,
        tightest: Option<(u32, u32)>,
        surroundings: Surroundings,
    ) -> HealthWindow {
        let totals = self.inner.hot.totals();
        let second = Second {
            accepted: self.shared().books().flow(self.inner.scope).accepted,
            rejected: self.inner.rejections().all(),
            answered: totals.answered(),
            errors: totals.errors(),
        };
        let last = std::mem::replace(&mut watch.last, second);
        let mut window = second
            .window(last)
            .scheduler_lag(surroundings.lag)
            .pressure(surroundings.pressure);
        if let Some((used, limit)) = tightest {
            window = window.connections(u64::from(used), u64::from(limit));
        }
        let failed = self
            .inner
            .listener
            .has_failed()
            .then_some(UnavailableCause::ListenerFailed);
        let deserted = self.inner.deserted.load(Ordering::Relaxed);
        let deserted = deserted.then_some(UnavailableCause::NoEndpoint);
        match surroundings.unavailable.or(failed).or(deserted) {
            Some(cause) => window.unavailable(cause),
            None => window,
        }
    }

    fn tell_transition(
        &self,
        HealthTransition {
            from, to, cause, ..
        }: HealthTransition,
    ) {
        let cause = cause.map_or("none", Cause::as_str);
        let (was, is) = (from.as_str(), to.as_str());
        tracing::info!(pool = %self.name(), from = was, to = is, cause, "health changed");
        let kind = EventKind::HealthStatusChanged { from, to, cause };
        self.shared().tell(|| (Some(self.name().clone()), kind));
    }
}

/// What is used and allowed in the fullest of the scopes that have a limit.
fn tightest(scopes: &[Occupancy]) -> Option<(u32, u32)> {
    scopes
        .iter()
        .filter_map(|scope| {
            scope
                .limit
                .map(|limit| (scope.active + scope.berths + scope.kept, limit))
        })
        .max_by(|a, b| ratio(a.0, a.1).total_cmp(&ratio(b.0, b.1)))
}

fn ratio(used: u32, limit: u32) -> f64 {
    f64::from(used) / f64::from(limit)
}

fn message(status: HealthStatus, cause: Option<Cause>) -> String {
    match (status, cause) {
        (HealthStatus::Healthy, _) => "serving with room to spare".to_owned(),
        (status, None) => status.as_str().to_owned(),
        (status, Some(cause)) => format!("{} because of {}", status.as_str(), cause.as_str()),
    }
}
