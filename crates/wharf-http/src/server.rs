//! [`Server`]: listeners, their pools and their applications, started together.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_pool::config::{PoolConfig, Settings};
use wharf_pool::{Cidr, ListenerName, Registry, RegistryError, ScopeLimits, ServingState};

use crate::app::App;
use crate::change::Wanted;
use crate::drain::{Drain, DrainPlan, DrainSettings};
use crate::grpc::Calls;
use crate::listener::TcpSettings;
use crate::observer::RequestObserver;
use crate::protocol::Protocol;
use crate::running::Running;
use crate::settings::{Http2Settings, ProtocolSettings};
use crate::ticker::tick;
use crate::tls::{Certificates, ClientAuth, Handshakes, SetupError};

/// A server that has not been started.
#[derive(Debug)]
#[non_exhaustive]
pub struct Server;

impl Server {
    /// Begins the description of a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }
}

/// The description of a server: its limits, and its listeners with what they serve.
#[derive(Default)]
#[must_use = "nothing listens before it is started"]
pub struct ServerBuilder {
    limits: ScopeLimits,
    drain: DrainSettings,
    handshakes: Handshakes,
    calls: Calls,
    observer: Option<Arc<dyn RequestObserver>>,
    listeners: Vec<Wanted>,
}

/// One listener: where it listens, under which limits, and which pools its connections enter.
#[derive(Debug)]
pub struct ListenerSetup {
    pub(crate) name: ListenerName,
    pub(crate) place: Place,
    pub(crate) limits: ScopeLimits,
    pub(crate) tcp: TcpSettings,
    pub(crate) trusted_proxies: Option<Vec<Cidr>>,
    pub(crate) tls: Option<(Certificates, ClientAuth)>,
    pub(crate) http2: Http2Settings,
    pub(crate) pools: Vec<(Protocol, PoolConfig<ProtocolSettings>)>,
}

/// Where a listener gets its socket from.
#[derive(Debug)]
pub(crate) enum Place {
    Address(SocketAddr),
    Socket(std::net::TcpListener),
}

impl ListenerSetup {
    /// A listener on `address`; port 0 is any free port.
    pub fn new(name: ListenerName, address: SocketAddr) -> Self {
        Self::at(name, Place::Address(address))
    }

    /// A listener on a socket that is bound, and perhaps listens, already.
    pub fn on(name: ListenerName, socket: std::net::TcpListener) -> Self {
        Self::at(name, Place::Socket(socket))
    }

    fn at(name: ListenerName, place: Place) -> Self {
        let (limits, tcp) = (ScopeLimits::default(), TcpSettings::default());
        Self {
            name,
            place,
            limits,
            tcp,
            trusted_proxies: None,
            tls: None,
            http2: Http2Settings::default(),
            pools: Vec::new(),
        }
    }

    /// Its socket is this one, which is bound already, and not a new one. A later change that asks for
    /// the address of the socket keeps it.
    #[must_use]
    pub fn socket(self, socket: std::net::TcpListener) -> Self {
        Self {
            place: Place::Socket(socket),
            ..self
        }
    }

    /// The limits of the listener, over those of its pools and under those of the process.
    #[must_use]
    pub fn limits(self, limits: ScopeLimits) -> Self {
        Self { limits, ..self }
    }

    /// What is asked of the kernel.
    #[must_use]
    pub fn tcp(self, tcp: TcpSettings) -> Self {
        Self { tcp, ..self }
    }

    /// Every connection must begin with a PROXY header and come from one of these ranges.
    #[must_use]
    pub fn proxy_protocol(self, trusted: Vec<Cidr>) -> Self {
        Self {
            trusted_proxies: Some(trusted),
            ..self
        }
    }

    /// Secures every connection with TLS. The certificates can be replaced while it runs.
    #[must_use]
    pub fn tls(self, certificates: Certificates, client_auth: ClientAuth) -> Self {
        Self {
            tls: Some((certificates, client_auth)),
            ..self
        }
    }

    /// How HTTP/2's frames are spoken where there is a pool for gRPC and none for HTTP/2: SETTINGS
    /// are sent before it is known what a connection is for.
    #[must_use]
    pub fn http2(self, http2: Http2Settings) -> Self {
        Self { http2, ..self }
    }

    /// Serves `protocol`, in a pool of this configuration. Without any, HTTP with the defaults.
    #[must_use]
    pub fn pool<S>(mut self, protocol: Protocol, config: PoolConfig<S>) -> Self
    where
        S: Settings + Into<ProtocolSettings>,
    {
        let config = PoolConfig::new(config.common, config.protocol.into());
        self.pools.push((protocol, config));
        self
    }

    pub(crate) fn describe(&self) -> String {
        match &self.place {
            Place::Address(address) => address.to_string(),
            Place::Socket(socket) => socket
                .local_addr()
                .map_or("its socket".to_owned(), |address| address.to_string()),
        }
    }
}

/// Why listeners could not be opened. None of them was: nothing listens that did not before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener could not be opened.
    #[error("listener {listener} cannot listen on {address}")]
    Listen {
        /// The listener.
        listener: ListenerName,
        /// Where.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A listener cannot serve one of its protocols.
    #[error("listener {listener} cannot serve {protocol}: {why}")]
    Protocol {
        /// The listener.
        listener: ListenerName,
        /// The protocol.
        protocol: Protocol,
        /// Why not.
        why: &'static str,
    },
    /// TLS could not be set up.
    #[error("listener {listener}")]
    Tls {
        /// The listener.
        listener: ListenerName,
        /// Why not.
        source: SetupError,
    },
    /// The server ends: nothing is opened any more.
    #[error("the server is draining")]
    Draining,
    /// A name is given twice, or a pool's configuration is not usable.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl ServerBuilder {
    /// The limits of the process.
    pub fn limits(mut self, limits: ScopeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// How the server ends.
    pub fn drain(mut self, settings: DrainSettings) -> Self {
        self.drain = settings;
        self
    }

    /// How many TLS handshakes may be under way at once, in all listeners; the others wait their
    /// turn. Default 256.
    pub fn max_tls_handshakes(self, most: NonZeroU32) -> Self {
        self.handshakes.set_limit(most);
        self
    }

    /// Who is told of every request.
    pub fn observer(mut self, observer: Arc<dyn RequestObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Adds a listener that serves `app`.
    pub fn listener<S>(mut self, setup: ListenerSetup, app: S) -> Self
    where
        S: App,
    {
        self.listeners.push(Wanted::new(setup, app));
        self
    }

    /// Opens every listener, or none, and serves.
    ///
    /// # Errors
    ///
    /// [`StartError`], naming the listener. What was opened before it is closed again.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start(self) -> Result<Running, StartError> {
        let registry = Registry::new(self.limits);
        let drain = Drain {
            plan: Arc::new(DrainPlan::new(self.drain)),
            registry: registry.clone(),
            lame: Arc::default(),
            closing: CancellationToken::new(),
            acceptors: TaskTracker::new(),
            connections: TaskTracker::new(),
            done: OnceCell::new(),
        };
        let stop_ticking = CancellationToken::new();
        let ticker = TaskTracker::new();
        ticker.spawn({
            let (registry, stop) = (registry.clone(), stop_ticking.clone());
            async move { stop.run_until_cancelled(tick(registry)).await }
        });
        let running = Running::new(
            drain,
            self.observer,
            (self.handshakes, self.calls),
            stop_ticking.drop_guard(),
        );
        running.change().all(self.listeners).apply().await?;
        registry.set_state(ServingState::Serving);
        Ok(running)
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listeners: Vec<_> = self.listeners.iter().map(Wanted::name).collect();
        f.debug_struct("ServerBuilder")
            .field("listeners", &listeners)
            .finish_non_exhaustive()
    }
}
