//! [`InForce`]: the settings of a listener's pools as their connections use them, read once for all.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use wharf_pool::Pool;

use crate::connection::HttpConnection;
use crate::context::Context;
use crate::protocol::Protocol;
use crate::{http1, http2};

/// The settings of a listener's pools as their connections use them: of each pool one copy, which its
/// connections share, until the pool's configuration changes.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    http1: ArcSwapOption<http1::Settings>,
    http2: ArcSwapOption<http2::Settings>,
    /// And of which generation of the `http2` pool they are: what a `grpc` pool does not have is as there.
    grpc: ArcSwapOption<(u64, Arc<http2::Settings>)>,
}

impl Context {
    /// The settings in force in the pool of HTTP/1 connections.
    pub(crate) fn http1_settings(&self, pool: &Pool<HttpConnection>) -> Arc<http1::Settings> {
        let cached = &self.in_force.http1;
        if let Some(there) = &*cached.load()
            && there.generation == pool.generation()
        {
            return Arc::clone(there);
        }
        let read = Arc::new(http1::Settings::of(pool));
        cached.store(Some(Arc::clone(&read)));
        read
    }

    /// The settings in force in a pool of HTTP/2 connections.
    pub(crate) fn http2_settings(&self, pool: &Pool<HttpConnection>) -> Arc<http2::Settings> {
        let wire = self.pools.of(Protocol::Http2);
        if wire.is_none_or(|wire| wire.name() != pool.name()) {
            return self.grpc_settings(pool, wire.map_or(0, Pool::generation));
        }
        let cached = &self.in_force.http2;
        if let Some(there) = &*cached.load()
            && there.generation == pool.generation()
        {
            return Arc::clone(there);
        }
        let read = Arc::new(http2::Settings::of(pool, &self.http2()));
        cached.store(Some(Arc::clone(&read)));
        read
    }

    fn grpc_settings(&self, pool: &Pool<HttpConnection>, wire: u64) -> Arc<http2::Settings> {
        let cached = &self.in_force.grpc;
        if let Some(there) = &*cached.load()
            && (there.0, there.1.generation) == (wire, pool.generation())
        {
            return Arc::clone(&there.1);
        }
        let read = Arc::new(http2::Settings::of(pool, &self.http2()));
        cached.store(Some(Arc::new((wire, Arc::clone(&read)))));
        read
    }
}
