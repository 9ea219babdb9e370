//! [`Context`]: what every connection of one listener shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use wharf_pool::{Cidr, Clock, CloseReason, Command, Pool};

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
    /// The kernel's patience with a peer that acknowledges nothing.
    pub(crate) user_timeout: Option<Duration>,
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
            user_timeout: None,
        }
    }

    /// Whether every answer is the last of its connection.
    pub(crate) fn is_lame(&self) -> bool {
        self.lame.is_set()
    }
}

/// How far the end of the server has come. It only goes on.
#[derive(Debug, Default)]
pub(crate) struct Lame(AtomicU8);

/// It still serves, and says that it will not for long.
const LAME: u8 = 1;
/// Its connections are asked to finish.
const LEAVING: u8 = 2;
/// Nobody holds it any more.
const ABANDONED: u8 = 3;

impl Lame {
    /// From now on every answer is the last of its connection.
    pub(crate) fn set(&self) {
        self.0.fetch_max(LAME, Ordering::Relaxed);
    }

    /// From now on newcomers are asked to finish, as those that were there before.
    pub(crate) fn leave(&self) {
        self.0.fetch_max(LEAVING, Ordering::Relaxed);
    }

    /// From now on newcomers are cut.
    pub(crate) fn abandon(&self) {
        self.0.fetch_max(ABANDONED, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LAME
    }

    /// What a connection is told that was not there when all were told.
    pub(crate) fn for_newcomers(&self) -> Option<Command> {
        match self.0.load(Ordering::Relaxed) {
            LEAVING => Some(Command::Finish(CloseReason::Drained)),
            ABANDONED => Some(Command::Abort(CloseReason::DrainDeadline)),
            _ => None,
        }
    }
}
