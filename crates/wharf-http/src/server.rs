//! [`Server`]: listeners, their pools and their applications, started together.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_pool::config::{PoolConfig, Settings};
use wharf_pool::{
    Cidr, ListenerName, PoolName, Registry, RegistryError, ScopeLimits, ServingState,
};

use crate::app::App;
use crate::connection::HttpConnection;
use crate::context::{Context, Lame};
use crate::drain::{Drain, DrainSettings};
use crate::grpc::Calls;
use crate::listener::{Acceptor, Lobby, TcpSettings, adopt, bind};
use crate::observer::RequestObserver;
use crate::pools::Pools;
use crate::protocol::Protocol;
use crate::running::Running;
use crate::settings::{Http2Settings, ProtocolSettings};
use crate::ticker::tick;
use crate::tls::{self, Certificates, ClientAuth, Handshakes, SetupError};

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
    listeners: Vec<(ListenerSetup, Start)>,
}

/// One listener: where it listens, under which limits, and which pools its connections enter.
#[derive(Debug)]
pub struct ListenerSetup {
    name: ListenerName,
    place: Place,
    limits: ScopeLimits,
    tcp: TcpSettings,
    trusted_proxies: Option<Vec<Cidr>>,
    tls: Option<(Certificates, ClientAuth)>,
    http2: Http2Settings,
    pools: Vec<(Protocol, PoolConfig<ProtocolSettings>)>,
}

/// Where a listener gets its socket from.
#[derive(Debug)]
enum Place {
    Address(SocketAddr),
    Socket(std::net::TcpListener),
}

/// Starts the accept loop of one listener; knows the application's type.
type Start = Box<dyn FnOnce(Bound) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>> + Send>;

/// A listener with its socket open, and what its accept loop needs.
struct Bound {
    socket: std::net::TcpListener,
    listener: wharf_pool::Listener<HttpConnection>,
    shared: Arc<Context>,
    lobby: Lobby,
    connections: TaskTracker,
    closing: CancellationToken,
    backlog: u32,
    exclusive: bool,
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

    fn describe(&self) -> String {
        match &self.place {
            Place::Address(address) => address.to_string(),
            Place::Socket(socket) => socket
                .local_addr()
                .map_or("its socket".to_owned(), |address| address.to_string()),
        }
    }
}

/// Why a server did not start. Nothing listens then.
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
        let start: Start = Box::new(|bound| {
            let Bound {
                socket,
                listener,
                shared,
                lobby,
                connections: tasks,
                closing,
                backlog,
                exclusive,
            } = bound;
            let acceptor = Acceptor {
                listener,
                app,
                shared,
                lobby,
                tasks,
                closing,
                backlog,
                exclusive,
            };
            Box::pin(acceptor.run(socket))
        });
        self.listeners.push((setup, start));
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
    #[expect(
        clippy::unused_async,
        reason = "that it needs a runtime shows in its type"
    )]
    pub async fn start(self) -> Result<Running, StartError> {
        let registry = Registry::new(self.limits);
        let lame = Arc::new(Lame::default());
        let drain = Drain {
            settings: self.drain,
            registry: registry.clone(),
            lame: Arc::clone(&lame),
            closing: CancellationToken::new(),
            acceptors: TaskTracker::new(),
            connections: TaskTracker::new(),
            done: OnceCell::new(),
        };
        let shares = Shares {
            observer: self.observer,
            handshakes: self.handshakes,
            calls: self.calls,
            listeners: self.listeners.len(),
        };
        let mut opened = Vec::new();
        for (setup, start) in self.listeners {
            let name = setup.name.clone();
            let bound = open(setup, &drain, &shares)?;
            let address = bound
                .socket
                .local_addr()
                .map_err(|source| StartError::Listen {
                    listener: name.clone(),
                    address: "its socket".to_owned(),
                    source,
                })?;
            opened.push((name, address, bound, start));
        }
        let ticker = TaskTracker::new();
        let stop_ticking = CancellationToken::new();
        ticker.spawn({
            let (registry, stop) = (registry.clone(), stop_ticking.clone());
            async move { stop.run_until_cancelled(tick(registry)).await }
        });
        let mut listening = Vec::new();
        for (name, address, bound, start) in opened {
            listening.push((name, address, bound.lobby.clone()));
            drain.acceptors.spawn(start(bound));
        }
        registry.set_state(ServingState::Serving);
        let Shares {
            handshakes, calls, ..
        } = shares;
        let ticking = stop_ticking.drop_guard();
        Ok(Running::new(drain, listening, (handshakes, calls), ticking))
    }
}

/// What the listeners of one server share.
struct Shares {
    observer: Option<Arc<dyn RequestObserver>>,
    handshakes: Handshakes,
    calls: Calls,
    listeners: usize,
}

fn open(setup: ListenerSetup, drain: &Drain, common: &Shares) -> Result<Bound, StartError> {
    let registry = &drain.registry;
    let address = setup.describe();
    let ListenerSetup {
        name,
        place,
        limits,
        tcp,
        trusted_proxies,
        tls,
        http2,
        pools,
    } = setup;
    let listener = registry.add_listener(&name, limits)?;
    let made = make_pools(registry, &name, pools, tls.is_some())?;
    let entries: Vec<_> = made.entries(tls.is_some()).cloned().collect();
    listener.leads_to(&entries);
    let tls = tls.map(|(certificates, client_auth)| {
        let alpn = made.alpn();
        tls::Acceptor::new(&certificates, alpn, client_auth, &common.handshakes)
    });
    let tls = tls.transpose().map_err(|source| StartError::Tls {
        listener: name.clone(),
        source,
    })?;
    let exclusive = matches!(place, Place::Address(_));
    let socket = match place {
        Place::Address(address) => bind(address, &tcp),
        Place::Socket(socket) => adopt(socket, &tcp),
    }
    .map_err(|source| StartError::Listen {
        listener: name,
        address,
        source,
    })?;
    let shared = Arc::new(Context {
        clock: registry.clock(),
        pools: made,
        observer: common.observer.clone(),
        tls,
        http2,
        calls: common.calls.clone(),
        lame: Arc::clone(&drain.lame),
        trusted_proxies,
        goodbyes: drain.settings.goodbyes(),
        user_timeout: tcp.user_timeout,
    });
    Ok(Bound {
        socket,
        listener,
        shared,
        lobby: Lobby::new(common.listeners),
        connections: drain.connections.clone(),
        closing: drain.closing.clone(),
        backlog: tcp.backlog.get(),
        exclusive,
    })
}

fn make_pools(
    registry: &Registry<HttpConnection>,
    name: &ListenerName,
    mut pools: Vec<(Protocol, PoolConfig<ProtocolSettings>)>,
    tls: bool,
) -> Result<Pools, StartError> {
    if pools.is_empty() {
        let only = if tls { Protocol::Https } else { Protocol::Http };
        pools.push((only, only.defaults()));
    }
    let mut made = Pools::default();
    for (protocol, config) in pools {
        let refuse = |why| StartError::Protocol {
            listener: name.clone(),
            protocol,
            why,
        };
        check(protocol, &config, tls).map_err(refuse)?;
        // A protocol's own name is a valid name.
        let pool = PoolName::new(name, protocol.as_str()).map_err(|_| refuse("its name"))?;
        made = made.with(protocol, registry.get_or_create(&pool, config)?);
    }
    Ok(made)
}

/// Whether a listener can have this pool.
fn check(
    protocol: Protocol,
    config: &PoolConfig<ProtocolSettings>,
    tls: bool,
) -> Result<(), &'static str> {
    if !protocol.is_served() {
        Err("this version does not have it")
    } else if !config.protocol.fits(protocol) {
        Err("its settings are those of another protocol")
    } else if protocol == Protocol::Https && !tls {
        Err("it needs a certificate: set tls")
    } else if protocol == Protocol::Http && tls {
        Err("with tls it is https")
    } else {
        Ok(())
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listeners: Vec<_> = self
            .listeners
            .iter()
            .map(|(setup, _)| &setup.name)
            .collect();
        f.debug_struct("ServerBuilder")
            .field("listeners", &listeners)
            .finish_non_exhaustive()
    }
}
