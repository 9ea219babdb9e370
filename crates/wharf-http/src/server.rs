//! [`Server`]: listeners, their pools and their applications, started together.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_pool::config::PoolConfig;
use wharf_pool::{
    Cidr, ListenerName, PoolName, Registry, RegistryError, ScopeLimits, ServingState,
};

use crate::app::App;
use crate::connection::{HttpConnection, HttpSettings};
use crate::context::{Context, Lame};
use crate::drain::{Drain, DrainSettings};
use crate::listener::{Acceptor, Lobby, TcpSettings, adopt, bind};
use crate::observer::RequestObserver;
use crate::protocol::Protocol;
use crate::running::Running;
use crate::ticker::tick;

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
    pools: Vec<(Protocol, PoolConfig<HttpSettings>)>,
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

    /// Serves `protocol`, in a pool of this configuration. Without any, HTTP with the defaults.
    #[must_use]
    pub fn pool(mut self, protocol: Protocol, config: PoolConfig<HttpSettings>) -> Self {
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
    /// A listener serves nothing that this version can serve.
    #[error("listener {listener} cannot serve {protocol} in this version: it serves http")]
    Protocol {
        /// The listener.
        listener: ListenerName,
        /// The protocol.
        protocol: Protocol,
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
        reason = "a TLS listener will read its keys here"
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
        let listeners = self.listeners.len();
        let mut opened = Vec::new();
        for (setup, start) in self.listeners {
            let name = setup.name.clone();
            let bound = open(setup, &drain, self.observer.clone(), listeners)?;
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
        Ok(Running::new(drain, listening, stop_ticking.drop_guard()))
    }
}

fn open(
    setup: ListenerSetup,
    drain: &Drain,
    observer: Option<Arc<dyn RequestObserver>>,
    listeners: usize,
) -> Result<Bound, StartError> {
    let registry = &drain.registry;
    let address = setup.describe();
    let ListenerSetup {
        name,
        place,
        limits,
        tcp,
        trusted_proxies,
        mut pools,
    } = setup;
    if pools.is_empty() {
        pools.push((Protocol::Http, PoolConfig::default()));
    }
    let listener = registry.add_listener(&name, limits)?;
    let mut made = Vec::new();
    for (protocol, config) in pools {
        if !protocol.is_served() {
            return Err(StartError::Protocol {
                listener: name,
                protocol,
            });
        }
        // A protocol's own name is a valid name.
        let pool = PoolName::new(&name, protocol.as_str()).map_err(|_| StartError::Protocol {
            listener: name.clone(),
            protocol,
        })?;
        made.push(registry.get_or_create(&pool, config)?);
    }
    listener.leads_to(&made);
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
        pool: made.swap_remove(0),
        observer,
        lame: Arc::clone(&drain.lame),
        trusted_proxies,
        goodbyes: drain.settings.goodbyes(),
        user_timeout: tcp.user_timeout,
    });
    Ok(Bound {
        socket,
        listener,
        shared,
        lobby: Lobby::new(listeners),
        connections: drain.connections.clone(),
        closing: drain.closing.clone(),
        backlog: tcp.backlog.get(),
        exclusive,
    })
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
