//! The drain: how a server ends without losing a request.
//!
//! 1. Every answer says `Connection: close`, readiness fails, new connections are still served:
//!    for `delay`.
//! 2. What the kernel has already accepted is taken, then the listeners close.
//! 3. Open connections get their next request served for `linger`; those silent throughout are
//!    half-closed, spread over time.
//! 4. What is in flight may end, until `timeout` after the listeners closed.
//! 5. The rest is cut, and counted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_pool::{CloseReason, Registry, ServingState};

use crate::connection::HttpConnection;
use crate::context::Lame;

/// How long a drain takes, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainSettings {
    /// How long new connections are still served after readiness has failed: at least what a load
    /// balancer needs to notice. Default 0.
    pub delay: Duration,
    /// How long open HTTP/1 connections still get their next request served after the listeners
    /// have closed. Part of `timeout`. Default 1.5 s: without it some clients lose a request that
    /// crosses our goodbye.
    pub linger: Duration,
    /// How long what is in flight may take after the listeners have closed. Default 30 s.
    pub timeout: Duration,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            linger: Duration::from_millis(1500),
            timeout: Duration::from_secs(30),
        }
    }
}

impl DrainSettings {
    /// The linger that fits into the timeout, and over how long the goodbyes after it are spread, so
    /// that the clients do not return as a herd.
    fn goodbyes(&self) -> Goodbyes {
        Goodbyes {
            linger: self.linger.min(self.timeout / 2),
            spread: Duration::from_millis(500).min(self.timeout / 4),
            latest: self.timeout / 4 * 3,
        }
    }
}

/// The settings in force; they can change until the drain has begun.
#[derive(Debug, Default)]
pub(crate) struct DrainPlan(Mutex<DrainSettings>);

impl DrainPlan {
    pub(crate) fn new(settings: DrainSettings) -> Self {
        Self(Mutex::new(settings))
    }

    pub(crate) fn get(&self) -> DrainSettings {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, settings: DrainSettings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    pub(crate) fn goodbyes(&self) -> Goodbyes {
        self.get().goodbyes()
    }
}

/// When idle connections are left during a drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goodbyes {
    pub(crate) linger: Duration,
    pub(crate) spread: Duration,
    /// After that no idle connection is waited for.
    pub(crate) latest: Duration,
}

/// Whether the whole server ends, or the listener that the connection came by. Either has a deadline
/// of its own.
pub(crate) fn is_drain(reason: CloseReason) -> bool {
    matches!(reason, CloseReason::Drained | CloseReason::Config)
}

/// What a drain has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that were open when the listeners closed and ended in good order.
    pub finished: usize,
    /// Connections that were cut at the deadline.
    pub cut: usize,
    /// How long it took, the delay included.
    pub took: Duration,
}

/// How long what was cut may take to let go of its bytes.
const AFTER_CUT: Duration = Duration::from_millis(500);

/// Everything that a drain has to order.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) plan: Arc<DrainPlan>,
    pub(crate) registry: Registry<HttpConnection>,
    pub(crate) lame: Arc<Lame>,
    pub(crate) closing: CancellationToken,
    /// The accept loops. They end when `closing` is cancelled.
    pub(crate) acceptors: TaskTracker,
    /// The connections.
    pub(crate) connections: TaskTracker,
    pub(crate) done: OnceCell<DrainReport>,
}

impl Drain {
    /// Drains; a second call waits for the first and has the same report.
    pub(crate) async fn run(&self) -> DrainReport {
        *self.done.get_or_init(|| self.steps()).await
    }

    async fn steps(&self) -> DrainReport {
        let begun = Instant::now();
        let settings = self.plan.get();
        self.registry.set_state(ServingState::Draining);
        self.lame.set();
        self.enter("delay");
        sleep(settings.delay).await;

        self.enter("closing_listeners");
        let deadline = Instant::now() + settings.timeout;
        self.closing.cancel();
        self.acceptors.close();
        let _ = timeout_at(deadline, self.acceptors.wait()).await;

        self.enter("finishing");
        // First the newcomers, then those that are here: nobody is between the two.
        self.lame.leave();
        let asked = self.registry.close_all(CloseReason::Drained);
        self.connections.close();
        let mut cut = 0;
        if timeout_at(deadline, self.connections.wait()).await.is_err() {
            self.enter("cutting");
            let rest = self.registry.connections();
            for connection in &rest {
                connection.abort(CloseReason::DrainDeadline);
            }
            cut = rest.len();
            let _ = timeout(AFTER_CUT, self.connections.wait()).await;
        }
        self.enter("drained");
        DrainReport {
            finished: asked.saturating_sub(cut),
            cut,
            took: begun.elapsed(),
        }
    }

    fn enter(&self, phase: &'static str) {
        tracing::info!(phase, "draining");
        self.registry.tell_drain(phase);
    }
}
