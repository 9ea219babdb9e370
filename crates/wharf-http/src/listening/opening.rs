//! [`Opening`]: a listener that is about to be opened, with everything done that can fail.

use std::io;
use std::net::{SocketAddr, TcpListener};

use wharf_pool::config::PoolConfig;
use wharf_pool::{Cidr, Listener, ListenerName, PoolName, Registry, RegistryError, ScopeLimits};

use crate::change::{Start, Wanted};
use crate::connection::HttpConnection;
use crate::listener::{TcpSettings, adopt, bind};
use crate::pools::Pools;
use crate::protocol::Protocol;
use crate::server::{ListenerSetup, Place, StartError};
use crate::settings::{Http2Settings, ProtocolSettings};
use crate::tls::{self, Alpn, Handshakes};

/// A listener that is about to be opened: its socket is there, its configuration is right.
pub(crate) struct Opening {
    pub(crate) name: ListenerName,
    pub(super) socket: Socket,
    limits: ScopeLimits,
    pub(super) tcp: TcpSettings,
    pub(super) trusted_proxies: Option<Vec<Cidr>>,
    pub(super) tls: Option<tls::Acceptor>,
    pub(super) http2: Http2Settings,
    pools: Vec<CheckedPool>,
    pub(super) start: Start,
}

/// A pool that can be made: its protocol is served and its configuration is right.
struct CheckedPool {
    protocol: Protocol,
    name: PoolName,
    config: PoolConfig<ProtocolSettings>,
}

/// Where an accept loop has its socket from.
pub(super) enum Socket {
    New {
        socket: TcpListener,
        address: SocketAddr,
        asked: SocketAddr,
        exclusive: bool,
    },
    /// From the loop of that listener.
    Standing(ListenerName),
}

/// A listener whose limits and pools are in force.
pub(crate) struct Accounted {
    pub(super) opening: Opening,
    pub(super) listener: Listener<HttpConnection>,
    pub(super) pools: Pools,
    pub(super) names: Vec<PoolName>,
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
            pools.push((Protocol::WebSocket, Protocol::WebSocket.defaults()));
        }
        let pools = pools
            .into_iter()
            .map(|(protocol, config)| CheckedPool::new(&name, protocol, config, tls.is_some()))
            .collect::<Result<Vec<_>, _>>()?;
        let has = |protocol| pools.iter().any(|pool| pool.protocol == protocol);
        if has(Protocol::WebSocket) && !has(Protocol::Http) && !has(Protocol::Https) {
            return Err(StartError::Protocol {
                listener: name,
                protocol: Protocol::WebSocket,
                why: "its sessions begin as HTTP/1: add http, or https with tls",
            });
        }
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
    if !config.protocol.fits(protocol) {
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
        let (socket, asked, exclusive) = match place {
            Place::Socket(socket) => {
                let address = socket.local_addr()?;
                (adopt(socket, tcp)?, address, false)
            }
            Place::Address(address) => {
                // Any free port is as good as another, so nobody else's is taken for it.
                let at = sockets.iter().position(|(owner, there)| {
                    *there == address && (address.port() != 0 || owner == name)
                });
                if let Some(at) = at {
                    return Ok(Self::Standing(sockets.swap_remove(at).0));
                }
                (bind(address, tcp)?, address, true)
            }
        };
        Ok(Self::New {
            address: socket.local_addr()?,
            socket,
            asked,
            exclusive,
        })
    }
}
