//! [`Pools`]: the pools of one listener, by what their connections speak.

use std::time::Duration;

use wharf_pool::config::Limit;

use crate::connection::HttpConnection;
use crate::protocol::Protocol;

type Pool = wharf_pool::Pool<HttpConnection>;

/// The pools of one listener.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pools {
    by_protocol: [Option<Pool>; Protocol::ALL.len()],
}

impl Pools {
    /// The same with another pool.
    pub(crate) fn with(mut self, protocol: Protocol, pool: Pool) -> Self {
        self.by_protocol[protocol as usize] = Some(pool);
        self
    }

    /// The pool of a protocol, if the listener has it.
    pub(crate) fn of(&self, protocol: Protocol) -> Option<&Pool> {
        self.by_protocol[protocol as usize].as_ref()
    }

    /// Where HTTP/1 connections are.
    pub(crate) fn http1(&self, tls: bool) -> Option<&Pool> {
        self.of(if tls { Protocol::Https } else { Protocol::Http })
    }

    /// Where HTTP/2 connections are before their first request, and all that are not moved.
    pub(crate) fn http2(&self) -> Option<&Pool> {
        self.of(Protocol::Http2).or(self.of(Protocol::Grpc))
    }

    /// Where a connection can be first.
    pub(crate) fn entries(&self, tls: bool) -> impl Iterator<Item = &Pool> {
        self.http1(tls).into_iter().chain(self.http2())
    }

    /// How long a connection may take that has not said what it speaks: the shortest of those that it
    /// can come to.
    pub(crate) fn connection_timeout(&self, tls: bool) -> Duration {
        self.entries(tls)
            .map(|pool| pool.config().common.connection_timeout)
            .min()
            .unwrap_or_default()
    }

    /// The same without those of which it is only told; `None` if that is all of them.
    pub(crate) fn connection_timeout_in_force(&self, tls: bool) -> Option<Duration> {
        self.entries(tls)
            .map(Pool::config)
            .filter(|config| !config.common.dry_run.has(Limit::ConnectionTimeout))
            .map(|config| config.common.connection_timeout)
            .min()
    }

    /// How long a TLS handshake may take, by the same rule.
    pub(crate) fn tls_handshake_timeout(&self) -> Duration {
        self.entries(true)
            .filter_map(|pool| pool.config().protocol.tls_handshake_timeout())
            .min()
            .unwrap_or_default()
    }
}
