//! [`Context`]: what every connection of one listener shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wharf_pool::{Cidr, Clock, Pool};

use crate::connection::HttpConnection;
use crate::drain::{DrainSettings, Goodbyes};
use crate::observer::RequestObserver;

/// What every connection of one listener shares.
pub(crate) struct Context {
    pub(crate) clock: Arc<Clock>,
    pub(crate) pool: Pool<HttpConnection>,
    pub(crate) observer: Option<Arc<dyn RequestObserver>>,
    pub(crate) lame: Arc<Lame>,
    /// Whose PROXY headers are believed; `None` if the listener takes none.
    pub(crate) trusted_proxies: Option<Vec<Cidr>>,
    /// When idle connections are left during a drain.
    pub(crate) goodbyes: Goodbyes,
}

impl Context {
    /// What a connection has that belongs to no listener.
    pub(crate) fn alone(pool: &Pool<HttpConnection>) -> Self {
        Self {
            clock: pool.clock(),
            pool: pool.clone(),
            observer: None,
            lame: Arc::default(),
            trusted_proxies: None,
            goodbyes: DrainSettings::default().goodbyes(),
        }
    }

    /// Whether every answer is the last of its connection.
    pub(crate) fn is_lame(&self) -> bool {
        self.lame.is_set()
    }
}

/// Set once, when the server begins to drain: it still serves, and says that it will not for long.
#[derive(Debug, Default)]
pub(crate) struct Lame(AtomicBool);

impl Lame {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
