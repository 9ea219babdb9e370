//! Facts about one connection, and the trait by which a protocol takes part in its pool.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use wharf_control::Timestamp;

use crate::config::{PoolConfig, Settings};
use crate::{CloseReason, Control, ListenerName};

/// The identity of a connection: unique in its registry, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(u64);

impl ConnId {
    pub(crate) const fn new(sequence: u64) -> Self {
        Self(sequence)
    }

    /// The identity as a number, for spreading and sharding.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for ConnId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The address of the other end, as the kernel or a trusted proxy gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddr(pub SocketAddr);

/// The address of our end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalAddr(pub SocketAddr);

macro_rules! address {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}
address!(PeerAddr, LocalAddr);

/// What is known of a connection when it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoints {
    /// The other end of the socket. Behind a proxy this is the proxy.
    pub peer: PeerAddr,
    /// Our end of the socket.
    pub local: LocalAddr,
}

impl Endpoints {
    /// The two ends of a socket.
    pub const fn new(peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            peer: PeerAddr(peer),
            local: LocalAddr(local),
        }
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It is not yet known what the peer speaks.
    Detecting,
    /// The peer's first request is not complete.
    Opening,
    /// Something is in flight.
    Active,
    /// Nothing is in flight.
    Idle,
    /// It has been asked to finish, or is saying goodbye.
    Closing,
}

impl Phase {
    pub(crate) const ALL: [Self; 5] = [
        Self::Detecting,
        Self::Opening,
        Self::Active,
        Self::Idle,
        Self::Closing,
    ];

    /// The word in the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Detecting => "detecting",
            Self::Opening => "opening",
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Closing => "closing",
        }
    }
}

/// Why a connection may not enter a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection cannot enter the pool: {0}")]
pub struct Invalid(pub &'static str);

/// A protocol's side of a connection: what its pool needs to ask of it.
///
/// The methods run on whichever thread asks, must not block, and are never called with a lock of
/// the pool held. `()` is the connection that has nothing to say: the [`Control`] does the rest.
pub trait Connection: Send + Sync + Sized + 'static {
    /// What the protocol adds to the settings of its pools.
    type Settings: Settings;

    /// What one open connection of a pool with these settings holds in memory, in bytes, as the pool
    /// accounts it: its record, its task and its buffers.
    fn memory(settings: &Self::Settings) -> u64 {
        let _ = settings;
        1024
    }

    /// Whether the connection may enter a pool with this configuration.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with the reason; the pool does not count the connection then.
    fn validate(
        &self,
        endpoints: &Endpoints,
        config: &PoolConfig<Self::Settings>,
    ) -> Result<(), Invalid> {
        let _ = (endpoints, config);
        Ok(())
    }

    /// Whether the connection could serve its peer now.
    fn is_healthy(&self) -> bool {
        true
    }

    /// Asks the connection to finish: no new work, the protocol's goodbye, then the end.
    fn begin_close(&self, control: &Control, reason: CloseReason) {
        control.finish(reason);
    }

    /// Ends the connection without a goodbye.
    fn abort(&self, control: &Control, reason: CloseReason) {
        control.abort(reason);
    }
}

impl Connection for () {
    type Settings = ();
}

/// A connection as it stood when somebody looked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its identity.
    pub id: ConnId,
    /// The other end: the announced one behind a trusted proxy.
    pub peer: PeerAddr,
    /// Our end.
    pub local: LocalAddr,
    /// The proxy in between, if one announced the peer.
    pub proxy: Option<PeerAddr>,
    /// The listener that accepted it.
    pub listener: ListenerName,
    /// The protocol part of its pool's name; `None` while that is unknown.
    pub protocol: Option<String>,
    /// The `User-Agent` of its first request, cut to 256 bytes.
    pub user_agent: Option<Box<str>>,
    /// Where it stands.
    pub phase: Phase,
    /// When it was opened.
    pub opened: Timestamp,
    /// How long it has been open.
    pub age: Duration,
    /// How long nothing has been in flight; zero while something is.
    pub idle: Duration,
    /// Bytes received from the peer.
    pub bytes_received: u64,
    /// Bytes sent to the peer.
    pub bytes_sent: u64,
    /// Requests begun.
    pub requests: u64,
    /// Requests in flight.
    pub in_flight: u32,
    /// Whether it could serve its peer now.
    pub healthy: bool,
}
