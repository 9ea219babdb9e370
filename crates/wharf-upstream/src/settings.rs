//! [`PoolSettings`]: how connections to the endpoints of an upstream are made, kept and waited for.

use std::time::Duration;

use wharf_pool::config::{ByteSize, Count, PoolConfig};

/// Of the settings that every pool has, those that mean something to connections that we open.
const COMMON: [&str; 4] = [
    "max_connections",
    "max_age",
    "max_requests",
    "max_age_grace",
];

wharf_pool::settings! {
    /// How connections to the endpoints of an upstream are made, kept and waited for.
    pub struct PoolSettings, PoolPatch {
        /// How many connections to each endpoint are held with nothing to do; one where they are
        /// multiplexed. Off: none.
        min_idle: Option<Count> = Some(count(2)), Now;
        /// The most connections to one endpoint. What all endpoints together may hold is
        /// `max_connections`.
        max_connections_per_endpoint: Count = count(100), Now;
        /// The most sessions with one endpoint: connections that were upgraded, as WebSocket's are. They last, and are
        /// none of `max_connections_per_endpoint`. Off: as many as clients may have.
        max_sessions_per_endpoint: Option<Count> = None, Now;
        /// The most requests in flight on one connection of HTTP/2; fewer if the endpoint says so.
        max_streams: Count = count(100), NextConnection;
        /// From looking the name up to the end of the TLS handshake.
        connect_timeout: Duration = Duration::from_secs(10), Now;
        /// The longest time with nothing in flight. Below that of the endpoint, or requests meet its
        /// close; what it announces (`Keep-Alive: timeout`) is kept to by itself.
        idle_timeout: Duration = Duration::from_secs(50), Now;
        /// From the end of the request to the head of the answer.
        response_timeout: Option<Duration> = Some(Duration::from_secs(30)), Now;
        /// How long an answer whose head has come may pause. Off, since streams of events do.
        body_timeout: Option<Duration> = None, Now;
        /// How long an endpoint may take nothing of a request's body.
        send_timeout: Option<Duration> = Some(Duration::from_mins(1)), Now;
        /// The most requests that wait for a connection to one endpoint; others are refused at once.
        max_waiting: Count = count(200), Now;
        /// The longest wait for a connection.
        wait_timeout: Duration = Duration::from_secs(5), Now;
        /// On HTTP/2, while requests are in flight: how long nothing may come before the endpoint is sent a PING.
        /// Off, since servers of gRPC end connections that ping more often than they like.
        ping_interval: Option<Duration> = None, NextConnection;
        /// How long the endpoint may take to answer it.
        ping_timeout: Duration = Duration::from_secs(10), NextConnection;
        /// The largest head of an answer, in HTTP/1; over it the answer is malformed.
        max_response_header_size: ByteSize = ByteSize::kib(64), NextConnection;
    }, common: COMMON
}

impl PoolSettings {
    /// What the pool of an upstream has that nobody configured.
    pub fn defaults() -> PoolConfig<Self> {
        let mut config = PoolConfig::<Self>::default();
        // So that a new address, certificate or machine is found, and nothing leaks for ever.
        config.common.max_age = Some(Duration::from_mins(30));
        config
    }
}

pub(crate) const fn count(n: u32) -> Count {
    match Count::new(n) {
        Some(count) => count,
        // Evaluated by the compiler.
        None => unreachable!(),
    }
}
