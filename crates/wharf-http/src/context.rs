//! [`Context`]: what every connection of one listener shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio_util::task::TaskTracker;
use wharf_pool::{Cidr, Clock, CloseReason, Command, Pool, RejectReason, Strain};

use crate::codecs::Codecs;
use crate::connection::HttpConnection;
use crate::drain::DrainPlan;
use crate::grpc::Calls;
use crate::in_force::InForce;
use crate::observer::RequestObserver;
use crate::pools::Pools;
use crate::protocol::Protocol;
use crate::settings::{Http2Settings, ProtocolSettings};
use crate::tallies::Tally;
use crate::tls;

/// What every connection of one listener shares.
pub(crate) struct Context {
    pub(crate) clock: Arc<Clock>,
    pub(crate) pools: Pools,
    pub(crate) observer: Option<Arc<dyn RequestObserver>>,
    pub(crate) lame: Arc<Lame>,
    /// How short of memory the process is.
    pub(crate) strain: Arc<Strain>,
    /// What its connections are secured with, if they are.
    pub(crate) tls: Option<tls::Acceptor>,
    /// How HTTP/2's frames are spoken where the listener has no pool for it, but one for gRPC.
    pub(crate) http2: Http2Settings,
    /// How gRPC calls go.
    pub(crate) calls: Calls,
    /// What the connections come to, beyond what every pool counts.
    pub(crate) tally: Arc<Tally>,
    /// Whose PROXY headers are believed; `None` if the listener takes none.
    pub(crate) trusted_proxies: Option<Vec<Cidr>>,
    /// When idle connections are left during a drain.
    pub(crate) drain: Arc<DrainPlan>,
    /// The kernel's patience with a peer that acknowledges nothing.
    pub(crate) user_timeout: Option<Duration>,
    /// The handlers of WebSocket sessions: a drain waits for what they have to put in order.
    pub(crate) sessions: TaskTracker,
    /// What the connections go by.
    pub(crate) in_force: InForce,
    /// The codecs of those that speak HTTP/1.
    pub(crate) codecs: Codecs,
}

impl Context {
    /// What a connection has that belongs to no listener. It speaks what its pool is for.
    pub(crate) fn alone(pool: &Pool<HttpConnection>) -> Self {
        let protocol = match pool.config().protocol {
            ProtocolSettings::Http(_) | ProtocolSettings::Https(_) => Protocol::Http,
            ProtocolSettings::Http2(_) => Protocol::Http2,
            ProtocolSettings::Grpc(_) => Protocol::Grpc,
            ProtocolSettings::WebSocket(_) => Protocol::WebSocket,
        };
        Self {
            clock: pool.clock(),
            pools: Pools::default().with(protocol, pool.clone()),
            observer: None,
            lame: Arc::default(),
            strain: Arc::default(),
            tls: None,
            http2: Http2Settings::default(),
            calls: Calls::default(),
            tally: Arc::default(),
            trusted_proxies: None,
            drain: Arc::default(),
            user_timeout: None,
            sessions: TaskTracker::new(),
            in_force: InForce::default(),
            codecs: Codecs::default(),
        }
    }

    /// Who wants to hear of requests that begin now.
    pub(crate) fn listening_observer(&self) -> Option<&dyn RequestObserver> {
        self.observer
            .as_deref()
            .filter(|observer| observer.is_listening())
    }

    /// How HTTP/2's frames are spoken on connections that begin now.
    pub(crate) fn http2(&self) -> Http2Settings {
        let config = self.pools.of(Protocol::Http2).map(Pool::config);
        match config.as_ref().map(|config| &config.protocol) {
            Some(ProtocolSettings::Http2(http2)) => http2.clone(),
            Some(_) | None => self.http2.clone(),
        }
    }

    /// Whether streams of HTTP/2 may become WebSocket sessions.
    pub(crate) fn has_sessions_over_http2(&self) -> bool {
        let config = self.pools.of(Protocol::WebSocket).map(Pool::config);
        match config.as_ref().map(|config| &config.protocol) {
            Some(ProtocolSettings::WebSocket(websocket)) => websocket.over_http2,
            Some(_) | None => false,
        }
    }

    /// How long a connection may take that has not said what it speaks.
    pub(crate) fn connection_timeout(&self) -> Duration {
        self.pools.connection_timeout(self.tls.is_some())
    }

    /// Counts a connection that was not let in, in the pool that it would have entered first.
    pub(crate) fn reject(&self, reason: RejectReason) {
        if let Some(pool) = self.pools.entries(self.tls.is_some()).next() {
            pool.reject(reason);
        }
    }

    /// Whether every answer is the last of its connection.
    pub(crate) fn is_lame(&self) -> bool {
        self.lame.is_set()
    }
}

/// How far the end of the server has come. It only goes on.
#[derive(Debug, Default)]
pub(crate) struct Lame(AtomicU8);

/// It still serves, and says that it will not for long.
const LAME: u8 = 1;
/// Its connections are asked to finish.
const LEAVING: u8 = 2;
/// Nobody holds it any more.
const ABANDONED: u8 = 3;

impl Lame {
    /// From now on every answer is the last of its connection.
    pub(crate) fn set(&self) {
        self.0.fetch_max(LAME, Ordering::Relaxed);
    }

    /// From now on newcomers are asked to finish, as those that were there before.
    pub(crate) fn leave(&self) {
        self.0.fetch_max(LEAVING, Ordering::Relaxed);
    }

    /// From now on newcomers are cut.
    pub(crate) fn abandon(&self) {
        self.0.fetch_max(ABANDONED, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LAME
    }

    /// What a connection is told that was not there when all were told.
    pub(crate) fn for_newcomers(&self) -> Option<Command> {
        match self.0.load(Ordering::Relaxed) {
            LEAVING => Some(Command::Finish(CloseReason::Drained)),
            ABANDONED => Some(Command::Abort(CloseReason::DrainDeadline)),
            _ => None,
        }
    }
}
