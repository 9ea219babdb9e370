//! [`Listening`]: one listener of a running server, from its socket to the last of its connections.

mod opening;
mod parting;

pub(crate) use opening::{Accounted, Opening};

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_pool::{Listener, ListenerName, PoolName};

use crate::change::Start;
use crate::codecs::Codecs;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::in_force::InForce;
use crate::listener::{Lobby, TcpSettings, adopt};
use crate::running::Inner;
use opening::Socket;
use parting::{part_with_pools, part_with_socket};

/// A listener whose accept loop runs.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) name: ListenerName,
    pub(crate) address: SocketAddr,
    pub(crate) lobby: Lobby,
    pools: Vec<PoolName>,
    /// The address as it was asked for; of a socket that was handed in, its own.
    asked: SocketAddr,
    exclusive: bool,
    closing: CancellationToken,
    handing_over: CancellationToken,
    accepting: JoinHandle<io::Result<Option<TcpListener>>>,
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
                strain: server.drain.registry.strain(),
                trusted_proxies: opening.trusted_proxies,
                drain: Arc::clone(&server.drain.plan),
                user_timeout: opening.tcp.user_timeout,
                sessions: server.drain.connections.clone(),
                in_force: InForce::default(),
                codecs: Codecs::default(),
            }),
            lobby: lobby.clone(),
            connections: server.drain.connections.clone(),
            closing: closing.clone(),
            handing_over: handing_over.clone(),
            tcp: opening.tcp,
            exclusive: taken.exclusive,
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
            exclusive: taken.exclusive,
            closing,
            handing_over,
            accepting,
        });
    }

    /// The address that was asked for, while the loop runs on it.
    pub(crate) fn stands_at(&self) -> Option<SocketAddr> {
        (!self.accepting.is_finished()).then_some(self.asked)
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

impl Socket {
    /// What of it an accept loop needs, and where it is; `None` if its owner is not there any more.
    fn take_from(self, standing: &mut Vec<Listening>) -> Option<Taken> {
        let from = match self {
            Self::New {
                socket,
                address,
                asked,
                exclusive,
            } => {
                return Some(Taken {
                    origin: Origin::Own(socket),
                    address,
                    asked,
                    exclusive,
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
            exclusive: owner.exclusive,
            left: Some(owner.name),
        })
    }
}

/// A socket for an accept loop.
struct Taken {
    origin: Origin,
    address: SocketAddr,
    asked: SocketAddr,
    exclusive: bool,
    /// Whose it was.
    left: Option<ListenerName>,
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
