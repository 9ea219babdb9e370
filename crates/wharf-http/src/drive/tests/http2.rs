//! HTTP/2 over bytes in memory and a clock that the test moves.

use std::sync::atomic::{AtomicU32, Ordering};

use wharf_pool::config::CommonSettings;
use wharf_pool::{Charge, Listener, ListenerName};
use wharf_testkit::http2::{Client, Kind, Raw, asked};

use super::*;
use crate::grpc;
use crate::pools::Pools;
use crate::protocol::Protocol;
use crate::settings::{GrpcSettings, Http2Settings, HttpSettings};

mod app;
mod calls;
mod closing;
mod opening;
mod pace;
mod requests;
mod sessions;
mod streams;

type Setup = (Protocol, PoolConfig<ProtocolSettings>);

/// A pool for HTTP/2 with the defaults changed.
fn http2(change: impl FnOnce(&mut CommonSettings, &mut Http2Settings)) -> Setup {
    let mut config = (Protocol::Http2.defaults().common, Http2Settings::default());
    change(&mut config.0, &mut config.1);
    (Protocol::Http2, PoolConfig::new(config.0, config.1.into()))
}

/// A pool for gRPC with the defaults changed.
fn grpc(change: impl FnOnce(&mut CommonSettings, &mut GrpcSettings)) -> Setup {
    let mut config = (Protocol::Grpc.defaults().common, GrpcSettings::default());
    change(&mut config.0, &mut config.1);
    (Protocol::Grpc, PoolConfig::new(config.0, config.1.into()))
}

/// A pool for HTTP/1 with the defaults.
fn http1() -> Setup {
    let config = PoolConfig::new(CommonSettings::default(), HttpSettings::default().into());
    (Protocol::Http, config)
}

/// A listener's pools with a ticking clock, and connections in memory.
struct Port {
    registry: Registry<HttpConnection>,
    listener: Listener<HttpConnection>,
    shared: Arc<Context>,
    tasks: TaskTracker,
    connections: TaskTracker,
    events: Subscription,
    /// How many handlers are at work.
    handlers: Arc<AtomicU32>,
}

impl Port {
    /// A listener for HTTP/2 alone, with the defaults changed.
    fn new(change: impl FnOnce(&mut CommonSettings, &mut Http2Settings)) -> Self {
        Self::of([http2(change)])
    }

    /// A listener with these pools.
    fn of(setups: impl IntoIterator<Item = Setup>) -> Self {
        let registry = Registry::new(ScopeLimits::default());
        let name: ListenerName = "test".parse().unwrap();
        let listener = registry
            .add_listener(&name, ScopeLimits::default())
            .unwrap();
        let mut pools = Pools::default();
        for (protocol, config) in setups {
            let name = PoolName::new(&name, protocol.as_str()).unwrap();
            let pool = registry.get_or_create(&name, config).unwrap();
            pools = pools.with(protocol, pool);
        }
        let entries: Vec<_> = pools.entries(false).cloned().collect();
        listener.leads_to(&entries);
        let shared = Arc::new(Context {
            pools,
            ..Context::alone(&entries[0])
        });
        let tasks = TaskTracker::new();
        tasks.spawn(tick(registry.clone()));
        let events = registry.events().subscribe();
        Self {
            registry,
            listener,
            shared,
            tasks,
            connections: TaskTracker::new(),
            events,
            handlers: Arc::default(),
        }
    }

    /// A connection that is being served, as its peer holds it.
    fn connect(&self) -> DuplexStream {
        self.connect_over(64 * 1024)
    }

    /// The same, with room for so many bytes on the way.
    fn connect_over(&self, room: usize) -> DuplexStream {
        let (peer, ours) = duplex(room);
        let address: SocketAddr = "192.0.2.1:1000".parse().unwrap();
        let guard = self
            .listener
            .reserve()
            .unwrap()
            .open(
                Endpoints::new(address, address),
                Charge::Peer,
                HttpConnection::default(),
            )
            .unwrap();
        let io = Tracked::new(ours, guard);
        let app = app::app(&self.handlers);
        self.connections
            .spawn(drive(io, app, Arc::clone(&self.shared)));
        peer
    }

    /// A client that has been greeted.
    async fn client(&self) -> Client {
        Client::over(self.connect()).await
    }

    /// A peer that sends what it is told, and has been greeted.
    async fn raw(&self) -> Raw<DuplexStream> {
        Raw::greeted(self.connect()).await
    }

    fn pool(&self, protocol: Protocol) -> &Pool<HttpConnection> {
        self.shared.pools.of(protocol).unwrap()
    }

    fn active(&self, protocol: Protocol) -> u32 {
        self.pool(protocol).active()
    }

    /// How many requests are in flight, as the pools and as the application count them.
    fn in_flight(&self) -> (u64, u32) {
        let pools = self.registry.all().into_iter();
        let counted = pools.map(|pool| pool.metrics().in_flight).sum();
        (counted, self.handlers.load(Ordering::Relaxed))
    }

    /// The reason of the next end. Nothing of the connection is left then, if it was the only one.
    async fn end_of_only(&mut self) -> CloseReason {
        let reason = self.next_reason().await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(self.in_flight(), (0, 0), "{reason}");
        for pool in self.registry.all() {
            assert_eq!(pool.active(), 0, "{reason}");
        }
        assert_eq!(self.registry.records(), 0, "{reason}");
        reason
    }

    async fn next_reason(&mut self) -> CloseReason {
        loop {
            let event = self.events.next().await.expect("the registry lives");
            if let EventKind::ConnectionRemoved { reason, .. } = event.kind {
                return reason;
            }
        }
    }

    /// Drains as a server does, with these settings.
    async fn drain(&self, settings: crate::DrainSettings) -> crate::DrainReport {
        let drain = crate::drain::Drain {
            plan: Arc::new(crate::drain::DrainPlan::new(settings)),
            registry: self.registry.clone(),
            lame: Arc::clone(&self.shared.lame),
            closing: tokio_util::sync::CancellationToken::new(),
            acceptors: TaskTracker::new(),
            connections: self.connections.clone(),
            done: tokio::sync::OnceCell::new(),
        };
        drain.run().await
    }
}
