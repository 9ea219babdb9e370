//! A server under test, and what is to be seen of it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};
use wharf_http::pool::config::PoolConfig;
use wharf_http::pool::events::{EventKind, Subscription};
use wharf_http::pool::{CloseReason, Pool, RejectReason, ScopeLimits};
use wharf_http::{DrainSettings, HttpConnection, HttpSettings, Running, serve};
use wharf_testkit::Peer;

use crate::app::app;

pub(crate) type Config = PoolConfig<HttpSettings>;

/// A server under test.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    events: Subscription,
}

impl Server {
    /// Starts one with this configuration.
    pub(crate) async fn start(config: Config) -> Self {
        Self::start_with(config, ScopeLimits::default(), DrainSettings::default()).await
    }

    /// Starts one with the defaults changed by `change`.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        Self::start(config).await
    }

    pub(crate) async fn start_with(
        config: Config,
        limits: ScopeLimits,
        drain: DrainSettings,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("it can be had");
        let address = listener.local_addr().expect("it is bound");
        let server = serve(listener, app())
            .pool(config)
            .limits(limits)
            .drain(drain);
        let running = server.start().await.expect("it can be had");
        let events = running.events().subscribe();
        Self {
            running,
            address,
            events,
        }
    }

    pub(crate) async fn connect(&self) -> Peer {
        Peer::connect(self.address).await
    }

    /// The only pool.
    pub(crate) fn pool(&self) -> Pool<HttpConnection> {
        self.running.registry().all().remove(0)
    }

    /// The reason for which the next connection ends.
    pub(crate) async fn next_reason(&mut self) -> CloseReason {
        next_reason(&mut self.events).await
    }

    /// How often newcomers were turned away for `reason`.
    pub(crate) fn rejected(&self, reason: RejectReason) -> u64 {
        let rejected = self.pool().metrics().rejected_by_reason;
        rejected
            .into_iter()
            .find(|(r, _)| *r == reason)
            .map_or(0, |(_, n)| n)
    }

    /// Waits until the pool holds `count` connections.
    pub(crate) async fn active(&self, count: u32) {
        eventually(
            || self.pool().active() == count,
            || format!("{} connections, not {count}", self.pool().active()),
        )
        .await;
    }
}

/// The reason for which the next connection ends.
pub(crate) async fn next_reason(events: &mut Subscription) -> CloseReason {
    let next = async {
        loop {
            let event = events.next().await.expect("the server lives");
            if let EventKind::ConnectionRemoved { reason, .. } = event.kind {
                return reason;
            }
        }
    };
    let next = timeout(Duration::from_secs(15), next).await;
    next.expect("a connection ends")
}

/// Waits until something holds.
pub(crate) async fn eventually(
    mut holds: impl FnMut() -> bool,
    otherwise: impl FnOnce() -> String,
) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{}", otherwise());
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
