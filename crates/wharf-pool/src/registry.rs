//! [`Registry`]: every pool and listener of a process, found by name, under one limit.

mod error;
mod forget;
mod ramp;
mod serving;

pub use error::RegistryError;
pub use serving::ServingState;

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wharf_control::{Rung, Timestamp, UnavailableCause};

use crate::books::{Books, Occupancy, ScopeKind, ScopeLimits};
use crate::config::PoolConfig;
use crate::connection::Connection;
use crate::events::{EventKind, Events};
use crate::handle::ConnectionHandle;
use crate::listener::Listener;
use crate::metrics::Metrics;
use crate::pool::{Pool, Surroundings, limits_of};
use crate::relief::Relieved;
use crate::shared::{Clock, Shared};
use crate::strain::Strain;
use crate::{CloseReason, ConnId, ListenerName, PoolName, reclaim, relief};

/// Every pool and listener of a process, under one limit. Cheap to clone.
///
/// The registry reads no clock. Whoever drives its connections calls [`Registry::tick`] about once
/// a [`TICK`](crate::TICK); that moves the coarse clock, fires deadlines and judges health.
pub struct Registry<C: Connection = ()> {
    inner: Arc<Inner<C>>,
}

struct Inner<C: Connection> {
    shared: Arc<Shared<C>>,
    members: Mutex<Members<C>>,
    state: AtomicU8,
    /// When the process began to serve, from one; zero while it has not.
    served_from: AtomicU64,
    /// The second that was judged last, and the latest tick of the one that is not over.
    judged: AtomicU64,
    /// The fifth of a second in which those were asked last who are too many.
    shrunk: AtomicU64,
    lag_nanos: AtomicU64,
}

struct Members<C: Connection> {
    listeners: Vec<Listener<C>>,
    pools: Vec<Pool<C>>,
}

impl<C: Connection> Registry<C> {
    /// An empty registry with these limits for the whole process.
    pub fn new(limits: ScopeLimits) -> Self {
        let mut books = Books::default();
        let process = books.open_scope(ScopeKind::Process, limits, Timestamp::ZERO);
        Self {
            inner: Arc::new(Inner {
                shared: Arc::new(Shared::new(books, process)),
                members: Mutex::new(Members {
                    listeners: Vec::new(),
                    pools: Vec::new(),
                }),
                state: AtomicU8::new(ServingState::Starting as u8),
                served_from: AtomicU64::new(0),
                judged: AtomicU64::new(0),
                shrunk: AtomicU64::new(0),
                lag_nanos: AtomicU64::new(u64::MAX),
            }),
        }
    }

    fn members(&self) -> MutexGuard<'_, Members<C>> {
        self.inner
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the accounting side of a listener.
    ///
    /// # Errors
    ///
    /// [`RegistryError::ListenerExists`] if there is one of that name.
    pub fn add_listener(
        &self,
        name: &ListenerName,
        limits: ScopeLimits,
    ) -> Result<Listener<C>, RegistryError> {
        let mut members = self.members();
        if members
            .listeners
            .iter()
            .any(|listener| listener.name() == name)
        {
            return Err(RegistryError::ListenerExists(name.clone()));
        }
        let listener = self.open_listener(name, limits);
        members.listeners.push(listener.clone());
        Ok(listener)
    }

    fn open_listener(&self, name: &ListenerName, limits: ScopeLimits) -> Listener<C> {
        let shared = &self.inner.shared;
        let now = shared.clock.now();
        let scope = shared.books().open_scope(ScopeKind::Listener, limits, now);
        Listener::new(name.clone(), scope, Arc::clone(shared))
    }

    /// The listener of that name.
    pub fn listener(&self, name: &ListenerName) -> Option<Listener<C>> {
        self.members()
            .listeners
            .iter()
            .find(|listener| listener.name() == name)
            .cloned()
    }

    /// Every listener, in the order in which they were made.
    pub fn listeners(&self) -> Vec<Listener<C>> {
        self.members().listeners.clone()
    }

    /// The pool of that name, made with `config` if there is none; its listener too.
    ///
    /// # Errors
    ///
    /// [`RegistryError::OtherConfig`] if it exists with another configuration,
    /// [`RegistryError::BadConfig`] if the configuration is not usable.
    pub fn get_or_create(
        &self,
        name: &PoolName,
        config: PoolConfig<C::Settings>,
    ) -> Result<Pool<C>, RegistryError> {
        let mut members = self.members();
        if let Some(pool) = members.pools.iter().find(|pool| pool.name() == name) {
            return same_config(pool, &config).map(|()| pool.clone());
        }
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(RegistryError::BadConfig {
                pool: name.clone(),
                problems,
            });
        }
        let known = members
            .listeners
            .iter()
            .find(|listener| listener.name() == name.listener());
        let listener = known.cloned().unwrap_or_else(|| {
            let listener = self.open_listener(name.listener(), ScopeLimits::default());
            members.listeners.push(listener.clone());
            listener
        });
        let shared = &self.inner.shared;
        let (limits, of) = (limits_of(&config.common), listener.inner().scope);
        let scope = shared
            .books()
            .open_scope(ScopeKind::Pool(of), limits, shared.clock.now());
        let pool = Pool::new(name.clone(), scope, Arc::clone(listener.inner()), config);
        members.pools.push(pool.clone());
        Ok(pool)
    }

    /// The listener of that name under these limits, made if there is none.
    pub fn set_listener(&self, name: &ListenerName, limits: ScopeLimits) -> Listener<C> {
        let mut members = self.members();
        let known = members.listeners.iter().find(|it| it.name() == name);
        let Some(listener) = known.cloned() else {
            let listener = self.open_listener(name, limits);
            members.listeners.push(listener.clone());
            return listener;
        };
        drop(members);
        listener.update_limits(limits);
        listener
    }

    /// The pool of that name with this configuration, made if there is none.
    ///
    /// # Errors
    ///
    /// [`RegistryError::BadConfig`] if the configuration is not usable. Nothing has changed then.
    pub fn set_pool(
        &self,
        name: &PoolName,
        config: PoolConfig<C::Settings>,
    ) -> Result<Pool<C>, RegistryError> {
        let Some(pool) = self.get(name) else {
            return self.get_or_create(name, config);
        };
        let bad = |problems| RegistryError::BadConfig {
            pool: name.clone(),
            problems,
        };
        pool.set_config(config).map_err(bad).map(|_| pool)
    }

    /// The pool of that name.
    pub fn get(&self, name: &PoolName) -> Option<Pool<C>> {
        self.members()
            .pools
            .iter()
            .find(|pool| pool.name() == name)
            .cloned()
    }

    /// Every pool, in the order in which they were made.
    pub fn all(&self) -> Vec<Pool<C>> {
        self.members().pools.clone()
    }

    /// The metrics of every pool.
    pub fn metrics(&self) -> Vec<(PoolName, Metrics)> {
        self.all()
            .into_iter()
            .map(|pool| (pool.name().clone(), pool.metrics()))
            .collect()
    }

    /// Asks every connection to finish; returns how many were asked.
    pub fn close_all(&self, reason: CloseReason) -> usize {
        let all = self.connections();
        for handle in &all {
            handle.begin_close(reason);
        }
        all.len()
    }

    /// Every connection in no order, also those of which it is not yet known what they speak.
    pub fn connections(&self) -> Vec<ConnectionHandle<C>> {
        let all = self.inner.shared.table.select(|_| true);
        all.into_iter()
            .map(|entry| ConnectionHandle { entry })
            .collect()
    }

    /// The connection with that identity.
    pub fn connection(&self, id: ConnId) -> Option<ConnectionHandle<C>> {
        self.inner
            .shared
            .table
            .get(id)
            .map(|entry| ConnectionHandle { entry })
    }

    /// How many connections the process holds.
    pub fn occupancy(&self) -> Occupancy {
        self.inner
            .shared
            .books()
            .occupancy(self.inner.shared.process)
    }

    /// How many sources hold a connection, or a slot to move one. Looks at every connection.
    pub fn sources(&self) -> usize {
        // Copied, so that the books are not held while they are sorted.
        let mut charged = self.inner.shared.books().charged();
        charged.sort_unstable();
        charged.dedup();
        charged.len()
    }

    /// How many records of connections there are; the same as open connections but for moments.
    pub fn records(&self) -> usize {
        self.inner.shared.table.len()
    }

    /// The limits of the process.
    pub fn limits(&self) -> ScopeLimits {
        self.inner
            .shared
            .books()
            .limits(self.inner.shared.process)
            .clone()
    }

    /// Puts new limits for the process in force. Over a lower one, idle connections of pools that
    /// reclaim are asked to leave.
    pub fn update_limits(&self, limits: ScopeLimits) {
        let shared = &self.inner.shared;
        shared
            .books()
            .set_limits(shared.process, limits, shared.clock.now());
        shared.tell_freed();
        reclaim::shrink_process(shared);
    }

    /// Where events are told.
    pub fn events(&self) -> &Events {
        &self.inner.shared.events
    }

    /// The coarse clock.
    pub fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.inner.shared.clock)
    }

    /// How short of memory the process is.
    pub fn strain(&self) -> Arc<Strain> {
        Arc::clone(&self.inner.shared.strain)
    }

    /// Does what is to be done on this rung, for this look: connections are given up for want of memory,
    /// and everybody sees how short it is. Whoever watches the memory calls it with every look.
    pub fn relieve(&self, rung: Rung, pressure: f64) -> Relieved {
        let shared = &self.inner.shared;
        let from = shared.strain.set(rung, pressure);
        if from != rung {
            let to = rung;
            self.all().iter().for_each(Pool::grow_old);
            self.connections().iter().for_each(|it| it.control().wake());
            shared.tell(|| (None, EventKind::PressureChanged { from, to }));
        }
        if rung == Rung::Calm {
            return Relieved::default();
        }
        relief::relieve(shared, rung)
    }

    /// Whether the process takes work.
    pub fn state(&self) -> ServingState {
        ServingState::ALL[usize::from(self.inner.state.load(Ordering::Relaxed))]
    }

    /// Notes whether the process takes work; pools that do not are unavailable.
    pub fn set_state(&self, state: ServingState) {
        if state == ServingState::Serving {
            self.begin_to_serve();
        }
        self.inner.state.store(state as u8, Ordering::Relaxed);
    }

    /// Tells every listener of events that the configuration was read again, and what came of it.
    pub fn tell_reload(&self, result: &'static str, changes: usize) {
        self.inner
            .shared
            .tell(|| (None, EventKind::ConfigReloaded { result, changes }));
    }

    /// Tells every listener of events which phase the drain has reached.
    pub fn tell_drain(&self, phase: &'static str) {
        self.inner
            .shared
            .tell(|| (None, EventKind::Drain { phase }));
    }

    /// Asks those to leave who have become idle where a limit was lowered.
    fn shrink_on(&self) {
        self.all().iter().for_each(Pool::shrink_on);
        self.listeners().iter().for_each(Listener::shrink_on);
        let shared = &self.inner.shared;
        let Occupancy {
            active,
            kept,
            limit,
            ..
        } = shared.books().occupancy(shared.process);
        if limit.is_some_and(|limit| active + kept > limit) {
            reclaim::shrink_process(shared);
        }
    }

    /// Moves the coarse clock to `now`, fires what is due and, once a second, judges every pool.
    /// `lag` is how late this call comes after the tick that it is for: what tasks wait for a
    /// worker. To be called by one task, about once a [`TICK`](crate::TICK).
    pub fn tick(&self, now: Timestamp, lag: Duration) {
        while self.tick_in_part(now, lag, usize::MAX) {}
    }

    /// The same, but no more than `most` connections are woken; says whether more may be due. Then it is called again
    /// before the next tick: whoever wakes thousands at once makes everybody else wait for all of them.
    pub fn tick_in_part(&self, now: Timestamp, lag: Duration, most: usize) -> bool {
        let inner = &self.inner;
        inner.shared.clock.set(now);
        self.ramp(now);
        let more = inner.shared.wheel.turn(now, most);
        let lag = u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX);
        // The least of a second: workers that are busy are late every time, a machine that stumbles
        // is late once.
        let lag = inner.lag_nanos.fetch_min(lag, Ordering::Relaxed).min(lag);
        let fifth = now.as_nanos() / SHRINK_EVERY;
        if inner.shrunk.fetch_max(fifth, Ordering::Relaxed) < fifth {
            self.shrink_on();
        }
        let second = now.as_nanos() / 1_000_000_000;
        if inner.judged.fetch_max(second, Ordering::Relaxed) < second {
            inner.lag_nanos.store(u64::MAX, Ordering::Relaxed);
            let surroundings = Surroundings {
                lag: Duration::from_nanos(lag),
                pressure: inner.shared.strain.pressure(),
                unavailable: match self.state() {
                    ServingState::Starting => Some(UnavailableCause::Starting),
                    ServingState::Serving => None,
                    ServingState::Draining => Some(UnavailableCause::Draining),
                },
            };
            self.all()
                .iter()
                .for_each(|pool| pool.judge(now, surroundings));
            self.listeners().iter().for_each(Listener::tell_rehearsed);
        }
        more
    }
}

/// Nanoseconds between two looks at limits that were lowered under those who are there.
const SHRINK_EVERY: u64 = 200_000_000;

fn same_config<C: Connection>(
    pool: &Pool<C>,
    config: &PoolConfig<C::Settings>,
) -> Result<(), RegistryError> {
    let differences = pool.config().differences(config);
    let keys: Vec<_> = differences
        .iter()
        .map(|difference| difference.key.name)
        .collect();
    if keys.is_empty() {
        Ok(())
    } else {
        Err(RegistryError::OtherConfig {
            pool: pool.name().clone(),
            keys,
        })
    }
}

impl<C: Connection> Clone for Registry<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<C: Connection> fmt::Debug for Registry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("occupancy", &self.occupancy())
            .finish_non_exhaustive()
    }
}
