//! [`Event`]: what is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wharf_control::{HealthStatus, Rung, Timestamp};

use crate::config::Difference;
use crate::{CloseReason, ConnId, DryRunReason, PoolName, RejectReason};

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// When, to the resolution of the coarse clock.
    pub at: Timestamp,
    /// The pool that it happened in; `None` for what concerns all, or no pool yet.
    pub pool: Option<PoolName>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A connection entered the pool at its accept, or when it became known what it speaks.
    ConnectionAdded {
        /// Which.
        id: ConnId,
        /// Its peer.
        peer: SocketAddr,
    },
    /// A connection ended. Exactly one for each that was added.
    ConnectionRemoved {
        /// Which.
        id: ConnId,
        /// Its peer.
        peer: SocketAddr,
        /// Why.
        reason: CloseReason,
        /// How long it lived.
        age: Duration,
        /// How many requests it began.
        requests: u64,
    },
    /// A deadline or a minimum rate ends a connection; its removal follows.
    ConnectionTimeout {
        /// Which.
        id: ConnId,
        /// Its peer.
        peer: SocketAddr,
        /// Which deadline.
        reason: CloseReason,
    },
    /// A fault ends a connection; its removal follows.
    ConnectionError {
        /// Which.
        id: ConnId,
        /// Its peer.
        peer: SocketAddr,
        /// Which fault.
        reason: CloseReason,
    },
    /// A connection left this pool for another.
    ConnectionMoved {
        /// Which.
        id: ConnId,
        /// Its peer.
        peer: SocketAddr,
        /// Where it went.
        to: PoolName,
    },
    /// Newcomers were turned away. At most one a second for each pool and reason.
    PoolLimitReached {
        /// Which limit.
        reason: RejectReason,
        /// How many since the last event of this kind.
        rejected: u64,
    },
    /// Newcomers would have been turned away by a limit that is on a dry run. At most one a second
    /// for each pool and reason; without a pool before it is known what they speak.
    WouldReject {
        /// Which limit.
        reason: DryRunReason,
        /// How many since the last event of this kind.
        connections: u64,
    },
    /// Connections, or requests on them, would have been ended by a limit that is on a dry run. At
    /// most one a second for each pool and reason, and once for each connection and limit.
    WouldClose {
        /// Which limit.
        reason: DryRunReason,
        /// How many since the last event of this kind.
        connections: u64,
    },
    /// The pool's health changed.
    HealthStatusChanged {
        /// What it was.
        from: HealthStatus,
        /// What it is.
        to: HealthStatus,
        /// What decided.
        cause: &'static str,
    },
    /// The pool's configuration changed.
    ConfigChanged {
        /// How.
        differences: Arc<[Difference]>,
    },
    /// An endpoint of an upstream is given something else from now on.
    EndpointStateChanged {
        /// Which.
        endpoint: Arc<str>,
        /// What it is given, in one word.
        state: &'static str,
        /// What decided.
        cause: &'static str,
    },
    /// The source that finds the endpoints of an upstream stands otherwise, or has found others.
    DiscoveryChanged {
        /// Which, in one word.
        source: &'static str,
        /// How it stands, in one word.
        state: &'static str,
        /// How many endpoints are known by it.
        endpoints: usize,
    },
    /// The server's configuration was read again.
    ConfigReloaded {
        /// What came of it, in one word.
        result: &'static str,
        /// How many settings changed.
        changes: usize,
    },
    /// The process has less memory left, or more, and goes further to keep some, or less far.
    PressureChanged {
        /// How far it went.
        from: Rung,
        /// How far it goes.
        to: Rung,
    },
    /// The drain of the server reached a phase.
    Drain {
        /// Which, in one word.
        phase: &'static str,
    },
}

impl EventKind {
    /// The name of every kind.
    pub const NAMES: [&'static str; 15] = [
        "connection_added",
        "connection_removed",
        "connection_timeout",
        "connection_error",
        "connection_moved",
        "pool_limit_reached",
        "would_reject",
        "would_close",
        "health_status_changed",
        "config_changed",
        "endpoint_state_changed",
        "discovery_changed",
        "config_reloaded",
        "pressure_changed",
        "drain",
    ];

    /// The name of the kind of event.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ConnectionAdded { .. } => "connection_added",
            Self::ConnectionRemoved { .. } => "connection_removed",
            Self::ConnectionTimeout { .. } => "connection_timeout",
            Self::ConnectionError { .. } => "connection_error",
            Self::ConnectionMoved { .. } => "connection_moved",
            Self::PoolLimitReached { .. } => "pool_limit_reached",
            Self::WouldReject { .. } => "would_reject",
            Self::WouldClose { .. } => "would_close",
            Self::HealthStatusChanged { .. } => "health_status_changed",
            Self::ConfigChanged { .. } => "config_changed",
            Self::EndpointStateChanged { .. } => "endpoint_state_changed",
            Self::DiscoveryChanged { .. } => "discovery_changed",
            Self::ConfigReloaded { .. } => "config_reloaded",
            Self::PressureChanged { .. } => "pressure_changed",
            Self::Drain { .. } => "drain",
        }
    }
}
