//! [`Context`]: what all endpoints of one upstream share.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_control::Random;
use wharf_control::upstream::{EjectionBudget, panicking};
use wharf_pool::Pool;
use wharf_pool::config::PoolConfig;

use crate::clock::Clock;
use crate::connect::{Connector, Line};
use crate::connection::UpstreamConnection;
use crate::settings::PoolSettings;

/// What all endpoints of one upstream share. It knows none of them.
pub(crate) struct Context {
    pub(crate) pool: Pool<UpstreamConnection>,
    pub(crate) clock: Clock,
    pub(crate) connector: Connector,
    /// Who waits for a slot of the pool.
    pub(crate) line: Line,
    /// Every task of the upstream: connections, attempts, checks.
    pub(crate) tasks: TaskTracker,
    /// Where they run, whoever calls.
    pub(crate) runtime: Handle,
    /// Told when the upstream takes no more requests.
    pub(crate) closing: CancellationToken,
    /// Told when none is in flight any more.
    pub(crate) closed: CancellationToken,
    budget: Mutex<EjectionBudget>,
    /// Endpoints that are not well, as health checks say.
    down: AtomicU32,
    seed: u64,
    drawn: AtomicU64,
}

impl Context {
    pub(crate) fn new(pool: Pool<UpstreamConnection>, connector: Connector, seed: u64) -> Self {
        Self {
            pool,
            clock: Clock::start(),
            connector,
            line: Line::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
            budget: Mutex::new(EjectionBudget::new(0)),
            down: AtomicU32::new(0),
            seed,
            drawn: AtomicU64::new(0),
        }
    }

    /// The settings in force.
    pub(crate) fn config(&self) -> Arc<PoolConfig<PoolSettings>> {
        self.pool.config()
    }

    /// Runs a task that the upstream waits for when it is closed.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.tasks.spawn_on(task, &self.runtime));
    }

    /// How many endpoints may be left alone at the same time, and are.
    pub(crate) fn budget(&self) -> MutexGuard<'_, EjectionBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An endpoint turned up or down, as health checks say.
    pub(crate) fn turned(&self, up: bool) {
        if up {
            self.down.fetch_sub(1, Ordering::Relaxed);
        } else {
            self.down.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether so few of the endpoints are well that the others are asked too.
    pub(crate) fn few(&self, endpoints: u32) -> bool {
        let out = self.budget().ejected() + self.down.load(Ordering::Relaxed);
        panicking(endpoints.saturating_sub(out), endpoints)
    }

    /// Random numbers for one decision. No two decisions have the same, and none waits for another.
    pub(crate) fn random(&self) -> Random {
        let nth = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut random = Random::new(self.seed.wrapping_add(nth.rotate_left(32)));
        Random::new(random.next_u64())
    }
}
