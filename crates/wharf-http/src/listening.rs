//! [`Listening`]: one listener of a running server, from its socket to the last of its connections.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_pool::config::PoolConfig;
use wharf_pool::{
    Cidr, CloseReason, ConnectionHandle, Listener, ListenerName, PoolName, Registry, RegistryError,
    ScopeLimits, TICK,
};

use crate::change::{Start, Wanted};
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::drain::DrainPlan;
use crate::listener::{Lobby, TcpSettings, adopt, bind};
use crate::pools::Pools;
use crate::protocol::Protocol;
use crate::running::Inner;
use crate::server::{ListenerSetup, Place, StartError};
use crate::settings::{Http2Settings, ProtocolSettings};
use crate::tls::{self, Alpn, Handshakes};

/// How long newcomers may still come after a listener is to close: those of its backlog, and those that
/// wait in its lobby.
const LAST_NEWCOMERS: Duration = Duration::from_millis(300);

/// A listener whose accept loop runs.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) name: ListenerName,
    pub(crate) address: SocketAddr,
    pub(crate) lobby: Lobby,
    pools: Vec<PoolName>,
    /// The address as it was asked for; `None` if the socket was handed in.
    asked: Option<SocketAddr>,
    closing: CancellationToken,
    handing_over: CancellationToken,
    accepting: JoinHandle<io::Result<Option<TcpListener>>>,
}

/// A listener that is about to be opened: its socket is there, its configuration is right.
pub(crate) struct Opening {
    pub(crate) name: ListenerName,
    socket: Socket,
    limits: ScopeLimits,
    tcp: TcpSettings,
    trusted_proxies: Option<Vec<Cidr>>,
    tls: Option<tls::Acceptor>,
    http2: Http2Settings,
    pools: Vec<CheckedPool>,
    start: Start,
}

/// A pool that can be made: its protocol is served and its configuration is right.
struct CheckedPool {
    protocol: Protocol,
    name: PoolName,
    config: PoolConfig<ProtocolSettings>,
}

/// Where an accept loop has its socket from.
enum Socket {
    New {
        socket: TcpListener,
        address: SocketAddr,
        asked: Option<SocketAddr>,
    },
    /// From the loop of that listener.
    Standing(ListenerName),
}

/// A listener whose limits and pools are in force.
pub(crate) struct Accounted {
    opening: Opening,
    listener: Listener<HttpConnection>,
    pools: Pools,
    names: Vec<PoolName>,
}

/// A listener with its socket open, and what its accept loop needs.
pub(crate) struct Bound {
    pub(crate) socket: TcpListener,
    pub(crate) listener: Listener<HttpConnection>,
    pub(crate) shared: Arc<Context>,
    pub(crate) lobby: Lobby,
    pub(crate) connections: TaskTracker,
    pub(crate) closing: CancellationToken,
    pub(crate) handing_over: CancellationToken,
    pub(crate) backlog: u32,
    pub(crate) exclusive: bool,
}

impl Opening {
    /// Checks what `wanted` says and opens its socket, unless one of `sockets` is at its address: that
    /// is taken off the list.
    ///
    /// # Errors
    ///
    /// [`StartError`], naming the listener.
    pub(crate) fn prepare(
        wanted: Wanted,
        sockets: &mut Vec<(ListenerName, SocketAddr)>,
        handshakes: &Handshakes,
    ) -> Result<Self, StartError> {
        let Wanted { setup, start } = wanted;
        let described = setup.describe();
        let ListenerSetup {
            name,
            place,
            limits,
            tcp,
            trusted_proxies,
            tls,
            http2,
            mut pools,
        } = setup;
        if pools.is_empty() {
            let only = if tls.is_some() {
                Protocol::Https
            } else {
                Protocol::Http
            };
            pools.push((only, only.defaults()));
        }
        let pools = pools
            .into_iter()
            .map(|(protocol, config)| CheckedPool::new(&name, protocol, config, tls.is_some()))
            .collect::<Result<Vec<_>, _>>()?;
        let tls = tls.map(|(certificates, client_auth)| {
            tls::Acceptor::new(&certificates, alpn(&pools), client_auth, handshakes)
        });
        let tls = tls.transpose().map_err(|source| StartError::Tls {
            listener: name.clone(),
            source,
        })?;
        let socket = Socket::open(&name, place, &tcp, sockets);
        let socket = socket.map_err(|source| StartError::Listen {
            listener: name.clone(),
            address: described,
            source,
        })?;
        Ok(Self {
            name,
            socket,
            limits,
            tcp,
            trusted_proxies,
            tls,
            http2,
            pools,
            start,
        })
    }

    /// Puts limits and pools in force.
    ///
    /// # Errors
    ///
    /// None that [`Opening::prepare`] has not found before.
    pub(crate) fn account(
        mut self,
        registry: &Registry<HttpConnection>,
    ) -> Result<Accounted, StartError> {
        let listener = registry.set_listener(&self.name, self.limits.clone());
        let mut pools = Pools::default();
        let mut names = Vec::new();
        for pool in self.pools.drain(..) {
            let made = registry.set_pool(&pool.name, pool.config)?;
            pools = pools.with(pool.protocol, made);
            names.push(pool.name);
        }
        let entries: Vec<_> = pools.entries(self.tls.is_some()).cloned().collect();
        listener.leads_to(&entries);
        listener.set_failed(false);
        Ok(Accounted {
            opening: self,
            listener,
            pools,
            names,
        })
    }
}

impl CheckedPool {
    fn new(
        listener: &ListenerName,
        protocol: Protocol,
        config: PoolConfig<ProtocolSettings>,
        tls: bool,
    ) -> Result<Self, StartError> {
        let refuse = |why| StartError::Protocol {
            listener: listener.clone(),
            protocol,
            why,
        };
        check(protocol, &config, tls).map_err(refuse)?;
        // A protocol's own name is a valid name.
        let name = PoolName::new(listener, protocol.as_str()).map_err(|_| refuse("its name"))?;
        let problems = config.problems();
        if problems.is_empty() {
            Ok(Self {
                protocol,
                name,
                config,
            })
        } else {
            let pool = name;
            Err(RegistryError::BadConfig { pool, problems }.into())
        }
    }
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

/// What a TLS handshake can agree on; the first that the client knows too is taken.
fn alpn(pools: &[CheckedPool]) -> Vec<Alpn> {
    let has = |protocol| pools.iter().any(|pool| pool.protocol == protocol);
    let http2 = has(Protocol::Http2) || has(Protocol::Grpc);
    let http1 = has(Protocol::Https);
    let http2 = http2.then_some(Alpn::Http2);
    let http1 = http1.then_some(Alpn::Http1);
    http2.into_iter().chain(http1).collect()
}

impl Socket {
    /// The one that is at the address, else a new one.
    fn open(
        name: &ListenerName,
        place: Place,
        tcp: &TcpSettings,
        sockets: &mut Vec<(ListenerName, SocketAddr)>,
    ) -> io::Result<Self> {
        let (socket, asked) = match place {
            Place::Socket(socket) => (adopt(socket, tcp)?, None),
            Place::Address(address) => {
                // Any free port is as good as another, so nobody else's is taken for it.
                let at = sockets.iter().position(|(owner, there)| {
                    *there == address && (address.port() != 0 || owner == name)
                });
                if let Some(at) = at {
                    return Ok(Self::Standing(sockets.swap_remove(at).0));
                }
                (bind(address, tcp)?, Some(address))
            }
        };
        Ok(Self::New {
            address: socket.local_addr()?,
            socket,
            asked,
        })
    }

    /// What of it an accept loop needs, and where it is; `None` if its owner is not there any more.
    fn take_from(self, standing: &mut Vec<Listening>) -> Option<Taken> {
        let from = match self {
            Self::New {
                socket,
                address,
                asked,
            } => {
                return Some(Taken {
                    origin: Origin::Own(socket),
                    address,
                    asked,
                    left: None,
                });
            }
            Self::Standing(from) => from,
        };
        let at = standing.iter().position(|it| it.name == from)?;
        let owner = standing.swap_remove(at);
        owner.handing_over.cancel();
        Some(Taken {
            origin: Origin::Loop(owner.accepting),
            address: owner.address,
            asked: owner.asked,
            left: Some(owner.name),
        })
    }
}

/// A socket for an accept loop.
struct Taken {
    origin: Origin,
    address: SocketAddr,
    asked: Option<SocketAddr>,
    /// Whose it was.
    left: Option<ListenerName>,
}

impl Listening {
    /// Starts an accept loop; its socket may be that of one of `standing`, which is taken off the list
    /// then.
    pub(crate) fn open(accounted: Accounted, standing: &mut Vec<Self>, server: &Arc<Inner>) {
        let Accounted {
            opening,
            listener,
            pools,
            names,
        } = accounted;
        let name = opening.name;
        let before = standing.iter().find(|it| it.name == name);
        let lobby = before.map_or_else(
            || Lobby::new(server.listeners() + standing.len() + 1),
            |before| before.lobby.clone(),
        );
        let Some(taken) = opening.socket.take_from(standing) else {
            // Who stands is taken off by a change only, and there is one at a time.
            return;
        };
        let closing = server.drain.closing.child_token();
        let handing_over = CancellationToken::new();
        let place = Standing {
            listener,
            shared: Arc::new(Context {
                clock: server.drain.registry.clock(),
                pools,
                observer: server.observer.clone(),
                tls: opening.tls,
                http2: opening.http2,
                calls: server.calls.clone(),
                tally: server.tallies.of(&name),
                lame: Arc::clone(&server.drain.lame),
                trusted_proxies: opening.trusted_proxies,
                drain: Arc::clone(&server.drain.plan),
                user_timeout: opening.tcp.user_timeout,
            }),
            lobby: lobby.clone(),
            connections: server.drain.connections.clone(),
            closing: closing.clone(),
            handing_over: handing_over.clone(),
            tcp: opening.tcp,
            exclusive: taken.asked.is_some(),
        };
        let accepting = accept(taken.origin, place, opening.start);
        let accepting = server.drain.acceptors.spawn_on(accepting, &server.runtime);
        part_with_pools(&name, &names, server);
        if let Some(left) = taken.left.filter(|left| *left != name) {
            part_with_socket(left, taken.address, server);
        }
        server.put(Self {
            name,
            address: taken.address,
            lobby,
            pools: names,
            asked: taken.asked,
            closing,
            handing_over,
            accepting,
        });
    }

    /// The address that was asked for, while the loop runs on it.
    pub(crate) fn stands_at(&self) -> Option<SocketAddr> {
        self.asked.filter(|_| !self.accepting.is_finished())
    }

    /// Whether its connections can enter that pool.
    pub(crate) fn has_pool(&self, pool: &PoolName) -> bool {
        self.pools.contains(pool)
    }

    /// Closes the socket when its backlog is served, and asks its connections to finish.
    pub(crate) fn retire(self, server: &Arc<Inner>) {
        self.closing.cancel();
        part_with_socket(self.name, self.address, server);
    }
}

/// Asks the connections that came to a listener by a socket that it has no more to finish, and forgets
/// the listener if it has no other.
fn part_with_socket(name: ListenerName, address: SocketAddr, server: &Arc<Inner>) {
    let (registry, plan) = (
        server.drain.registry.clone(),
        Arc::clone(&server.drain.plan),
    );
    let owner = Arc::downgrade(server);
    server.outlast(async move {
        let came_by_it = |handle: &ConnectionHandle<HttpConnection>| {
            handle.listener() == name && came_by(handle.endpoints().local.0, address)
        };
        part_with(&plan, || {
            let mut all = registry.connections();
            all.retain(came_by_it);
            all
        })
        .await;
        let Some(server) = owner.upgrade() else {
            return;
        };
        // Nobody gives the name again meanwhile.
        let _alone = server.changing.lock().await;
        if !server.has_listener(&name) {
            registry.forget_listener(&name);
        }
    });
}

/// Asks the connections of pools that the listener has no more to finish, and forgets the pools.
fn part_with_pools(listener: &ListenerName, kept: &[PoolName], server: &Arc<Inner>) {
    let mut all = server.drain.registry.all();
    all.retain(|pool| pool.name().listener() == listener && !kept.contains(pool.name()));
    for pool in all {
        let (registry, plan) = (
            server.drain.registry.clone(),
            Arc::clone(&server.drain.plan),
        );
        let owner = Arc::downgrade(server);
        server.outlast(async move {
            part_with(&plan, || pool.connections()).await;
            let Some(server) = owner.upgrade() else {
                return;
            };
            let _alone = server.changing.lock().await;
            if !server.has_pool(pool.name()) {
                registry.forget_pool(pool.name());
            }
        });
    }
}

/// Asks connections to finish until none of them is left; after the time of a drain they are cut.
async fn part_with(plan: &DrainPlan, those: impl Fn() -> Vec<ConnectionHandle<HttpConnection>>) {
    let begun = Instant::now();
    let deadline = begun + plan.get().timeout;
    loop {
        let (left, now) = (those(), Instant::now());
        if left.is_empty() && now - begun >= LAST_NEWCOMERS {
            return;
        }
        let late = now >= deadline;
        for connection in left {
            if late {
                connection.abort(CloseReason::DrainDeadline);
            } else {
                connection.begin_close(CloseReason::Config);
            }
        }
        sleep(TICK).await;
    }
}

/// Whether a connection with this local address was accepted by a socket at that one.
fn came_by(local: SocketAddr, socket: SocketAddr) -> bool {
    let everywhere = socket.ip().is_unspecified() && socket.is_ipv4() == local.is_ipv4();
    local.port() == socket.port() && (everywhere || local.ip() == socket.ip())
}

/// Where an accept loop has its socket from.
enum Origin {
    Own(TcpListener),
    /// The loop before it.
    Loop(JoinHandle<io::Result<Option<TcpListener>>>),
}

/// What an accept loop needs but for its socket.
struct Standing {
    listener: Listener<HttpConnection>,
    shared: Arc<Context>,
    lobby: Lobby,
    connections: TaskTracker,
    closing: CancellationToken,
    handing_over: CancellationToken,
    tcp: TcpSettings,
    exclusive: bool,
}

/// Runs an accept loop, once it has its socket.
async fn accept(origin: Origin, place: Standing, start: Start) -> io::Result<Option<TcpListener>> {
    let socket = match origin {
        Origin::Own(socket) => socket,
        Origin::Loop(before) => match before.await {
            Ok(Ok(Some(socket))) => adopt(socket, &place.tcp)?,
            // It was closed before it could hand over, or has failed and said so.
            ended => {
                place.listener.set_failed(!matches!(ended, Ok(Ok(_))));
                return Ok(None);
            }
        },
    };
    let bound = Bound {
        socket,
        listener: place.listener,
        shared: place.shared,
        lobby: place.lobby,
        connections: place.connections,
        closing: place.closing,
        handing_over: place.handing_over,
        backlog: place.tcp.backlog.get(),
        exclusive: place.exclusive,
    };
    start(bound).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_came_by_the_socket_that_has_its_local_address() {
        let came =
            |local: &str, socket: &str| came_by(local.parse().unwrap(), socket.parse().unwrap());
        assert!(came("10.0.0.1:80", "10.0.0.1:80") && came("10.0.0.1:80", "0.0.0.0:80"));
        assert!(came("[2001:db8::1]:80", "[::]:80"));
        assert!(!came("10.0.0.1:80", "10.0.0.1:81") && !came("10.0.0.1:80", "10.0.0.2:80"));
        assert!(!came("[::1]:80", "0.0.0.0:80") && !came("10.0.0.1:80", "[::]:80"));
    }
}
