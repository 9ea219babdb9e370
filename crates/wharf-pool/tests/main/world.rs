//! A registry with a clock that the test turns, and addresses to connect from.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_pool::config::{Count, PoolConfig, PoolPatch, Value};
use wharf_pool::{
    Charge, ConnectionGuard, Endpoints, ListenerName, Pool, Registry, RejectReason, ScopeLimits,
    ServingState, Slot, TICK, Timestamp,
};

/// A registry without limits at second one, serving, with one pool.
pub(crate) struct World {
    pub(crate) registry: Registry,
    pub(crate) pool: Pool,
    now: Duration,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(ScopeLimits::default())
    }

    pub(crate) fn with(limits: ScopeLimits) -> Self {
        let registry = Registry::new(limits);
        let pool = pool(&registry, "test/line");
        registry.set_state(ServingState::Serving);
        let mut world = Self {
            registry,
            pool,
            now: Duration::ZERO,
        };
        world.pass(Duration::from_secs(1));
        world
    }

    /// Lets time pass, tick by tick.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += TICK;
            self.registry.tick(self.now(), Duration::ZERO);
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::after_start(self.now)
    }

    pub(crate) fn open(&self, peer: &str) -> Result<ConnectionGuard, RejectReason> {
        self.pool.reserve().and_then(|slot| open(slot, peer))
    }

    /// As the pool's only listener leads to it.
    pub(crate) fn set(&self, key: &str, value: impl Into<Value>) {
        self.pool
            .update_config(&patch(key, value))
            .expect("a good patch");
    }
}

pub(crate) fn pool(registry: &Registry, name: &str) -> Pool {
    registry
        .get_or_create(&name.parse().unwrap(), PoolConfig::default())
        .unwrap()
}

pub(crate) fn patch(key: &str, value: impl Into<Value>) -> PoolPatch {
    let mut patch = PoolPatch::default();
    patch.set(key, &value.into()).unwrap();
    patch
}

pub(crate) fn open(slot: Slot, peer: &str) -> Result<ConnectionGuard, RejectReason> {
    slot.open(endpoints(peer), Charge::Peer, ())
}

pub(crate) fn endpoints(peer: &str) -> Endpoints {
    Endpoints::new(
        SocketAddr::new(ip(peer), 4711),
        "192.0.2.1:80".parse().unwrap(),
    )
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn listener(name: &str) -> ListenerName {
    ListenerName::new(name).unwrap()
}

pub(crate) fn at_most(connections: u32) -> ScopeLimits {
    Count::new(connections).map_or_else(ScopeLimits::default, ScopeLimits::from)
}
