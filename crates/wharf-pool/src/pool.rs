//! [`Pool`]: the connections of one listener and protocol, under one configuration.

mod change;
mod health;
mod reject;
mod report;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use wharf_control::{Rung, Timestamp};

pub(crate) use change::limits_of;
pub use health::Health;
pub(crate) use health::Surroundings;

use crate::books::{Occupancy, Path, ScopeId};
use crate::config::PoolConfig;
use crate::connection::{Connection, Endpoints};
use crate::events::EventKind;
use crate::guard::ConnectionGuard;
use crate::handle::ConnectionHandle;
use crate::listener::ListenerInner;
use crate::metrics::Stripes;
use crate::place::Place;
use crate::shared::{Clock, Shared};
use crate::slot::{Charge, Slot};
use crate::{CloseReason, ConnId, PoolName, RejectReason, reclaim};
use health::Watch;
use reject::Rejections;

/// The connections of one listener and protocol. Cheap to clone.
pub struct Pool<C: Connection = ()> {
    inner: Arc<PoolInner<C>>,
}

pub(crate) struct PoolInner<C: Connection> {
    pub(crate) name: PoolName,
    pub(crate) scope: ScopeId,
    pub(crate) listener: Arc<ListenerInner<C>>,
    pub(crate) config: ArcSwap<PoolConfig<C::Settings>>,
    /// What is counted for every request, by worker.
    pub(crate) hot: Stripes,
    /// Held from reading the configuration until its successor is in force.
    changing: Mutex<()>,
    /// Grows with every change of the configuration.
    generation: AtomicU64,
    /// Whether no endpoint of its upstream is left to send work to.
    deserted: AtomicBool,
    made: Timestamp,
    watch: Mutex<Watch>,
    rejections: Mutex<Rejections>,
}

impl<C: Connection> Drop for PoolInner<C> {
    fn drop(&mut self) {
        self.listener.shared.books().close_scope(self.scope);
    }
}

impl<C: Connection> PoolInner<C> {
    /// The ledgers of the pool's connections.
    pub(crate) fn path(&self) -> Path {
        self.listener.path().to_pool(self.scope)
    }
}

impl<C: Connection> Pool<C> {
    pub(crate) fn new(
        name: PoolName,
        scope: ScopeId,
        listener: Arc<ListenerInner<C>>,
        config: PoolConfig<C::Settings>,
    ) -> Self {
        let now = listener.shared.clock.now();
        let hot = Stripes::new();
        let watch = Watch::new(now, &hot);
        Self::from_inner(Arc::new(PoolInner {
            name,
            scope,
            listener,
            config: ArcSwap::from_pointee(config),
            hot,
            changing: Mutex::default(),
            generation: AtomicU64::new(0),
            deserted: AtomicBool::new(false),
            made: now,
            watch: Mutex::new(watch),
            rejections: Mutex::default(),
        }))
    }

    pub(crate) fn from_inner(inner: Arc<PoolInner<C>>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Arc<PoolInner<C>> {
        &self.inner
    }

    fn shared(&self) -> &Arc<Shared<C>> {
        &self.inner.listener.shared
    }

    fn place(&self) -> Place<C> {
        Place::Pool(Arc::clone(&self.inner))
    }

    /// Its name.
    pub fn name(&self) -> &PoolName {
        &self.inner.name
    }

    /// Asks idle connections of the pool to leave for `at_most` others, one of them from `address`;
    /// returns how many were asked.
    pub fn make_room(&self, address: IpAddr, at_most: usize) -> usize {
        let here = |place: &Place<C>| place.is_in(&self.inner);
        reclaim::make_room(self.shared(), here, address, at_most)
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<PoolConfig<C::Settings>> {
        self.inner.config.load_full()
    }

    /// Reads the configuration in force, without taking a share in it: what is asked for with every request.
    pub fn with_config<T>(&self, read: impl FnOnce(&PoolConfig<C::Settings>) -> T) -> T {
        read(&self.inner.config.load())
    }

    /// Notes whether no endpoint of the pool's upstream is left to send work to: it is unavailable then.
    pub fn set_deserted(&self, deserted: bool) {
        self.inner.deserted.store(deserted, Ordering::Relaxed);
    }

    /// The coarse clock of its registry.
    pub fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.shared().clock)
    }

    /// How far the server goes for want of memory.
    pub fn rung(&self) -> Rung {
        self.shared().strain.rung()
    }

    /// A number that grows with every change of the configuration, or of [`Pool::rung`], so that a driver
    /// can keep what it made of them.
    pub fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }

    /// Takes a slot in the pool.
    ///
    /// # Errors
    ///
    /// The limit that is reached: of the process, the listener or the pool.
    pub fn reserve(&self) -> Result<Slot<C>, RejectReason> {
        Slot::take(self.place())
    }

    /// Waits for a slot in the pool.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait holds nothing.
    pub async fn reserved(&self) -> Slot<C> {
        self.shared().wait_for(|| self.reserve()).await
    }

    /// Takes a slot and opens a connection in one step, for those who accept first.
    ///
    /// # Errors
    ///
    /// The limit, rate or share that keeps it out; it is counted as rejected.
    pub fn add(
        &self,
        endpoints: Endpoints,
        connection: C,
    ) -> Result<ConnectionGuard<C>, RejectReason> {
        self.reserve()
            .and_then(|slot| slot.open(endpoints, Charge::Peer, connection))
            .inspect_err(|reason| self.reject(*reason))
    }

    /// Asks a connection to finish, if it is one of this pool's. Its slot comes free when its bytes
    /// are dropped; returns whether it was found.
    pub fn remove(&self, id: ConnId, reason: CloseReason) -> bool {
        let found = self
            .shared()
            .table
            .get(id)
            .filter(|entry| entry.is_in(&self.inner));
        let handle = found.map(|entry| ConnectionHandle { entry });
        handle
            .inspect(|handle| handle.begin_close(reason))
            .is_some()
    }

    /// Asks every connection of the pool to finish; returns how many were asked.
    pub fn close_all(&self, reason: CloseReason) -> usize {
        let all = self.connections();
        for handle in &all {
            handle.begin_close(reason);
        }
        all.len()
    }

    /// How many connections are open.
    pub fn active(&self) -> u32 {
        self.occupancy().active
    }

    /// How many connections are open, reserved, and allowed.
    pub fn occupancy(&self) -> Occupancy {
        self.shared().books().occupancy(self.inner.scope)
    }

    /// Whether a slot could be taken now.
    pub fn can_accept(&self) -> bool {
        self.shared().books().room(self.inner.path()).is_ok()
    }

    /// The pool's connections, in no order. Looks at every connection of the registry.
    pub fn connections(&self) -> Vec<ConnectionHandle<C>> {
        let here = self.shared().table.select(|entry| entry.is_in(&self.inner));
        here.into_iter()
            .map(|entry| ConnectionHandle { entry })
            .collect()
    }

    /// Tells every listener of events that an endpoint of the pool's upstream is given something else from
    /// now on: its state and what decided, each in one word.
    pub fn tell_endpoint(
        &self,
        endpoint: &dyn fmt::Display,
        state: &'static str,
        cause: &'static str,
    ) {
        self.shared().tell(|| {
            let kind = EventKind::EndpointStateChanged {
                endpoint: Arc::from(endpoint.to_string()),
                state,
                cause,
            };
            (Some(self.name().clone()), kind)
        });
    }

    /// Tells every listener of events how the source of an upstream's endpoints stands, and how many endpoints are
    /// known by it.
    pub fn tell_discovery(&self, source: &'static str, state: &'static str, endpoints: usize) {
        self.shared().tell(|| {
            let kind = EventKind::DiscoveryChanged {
                source,
                state,
                endpoints,
            };
            (Some(self.name().clone()), kind)
        });
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.inner.hot.mine().receive(bytes as u64);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.inner.hot.mine().send(bytes as u64);
    }

    /// Accounts processor time that was spent for the pool's connections.
    pub fn busy(&self, took: Duration) {
        self.inner.hot.mine().busy(took);
    }
}

impl<C: Connection> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<C: Connection> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}
