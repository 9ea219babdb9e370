//! [`Settings`]: a pool's configuration as one session uses it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use wharf_pool::Pool;
use wharf_pool::config::{DryRun, Limit, PoolConfig};

use super::meter::Limits;
use crate::connection::HttpConnection;
use crate::settings::{ProtocolSettings, WebSocketSettings};
use crate::waits::Timeouts;

/// A pool's configuration as one session uses it, and of which generation it is. Shared by all of its
/// sessions.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) generation: u64,
    config: Arc<PoolConfig<ProtocolSettings>>,
    /// Whether the handler has agreed on an extension.
    extensions: bool,
    /// The limits on a dry run that have not been told of.
    dry_run: DryRun,
}

impl Settings {
    /// The settings in force; `extensions` is whether the handler has agreed on one.
    pub(crate) fn of(pool: &Pool<HttpConnection>, extensions: bool) -> Self {
        // Read first: a change in between makes it look old, and it is read again.
        let generation = pool.generation();
        let config = pool.config();
        Self {
            generation,
            dry_run: config.common.dry_run,
            config,
            extensions,
        }
    }

    /// Whether the limit is on a dry run. Then it holds no more for this session: each is told of
    /// once.
    pub(crate) fn rehearse(&mut self, limit: Limit) -> bool {
        self.dry_run.end(limit)
    }

    /// Whether the limit was on a dry run and has been told of.
    fn is_lifted(&self, limit: Limit) -> bool {
        self.config.common.dry_run.has(limit) && !self.dry_run.has(limit)
    }

    /// The settings in force now.
    pub(crate) fn refresh(&mut self, pool: &Pool<HttpConnection>) {
        if self.generation != pool.generation() {
            *self = Self::of(pool, self.extensions);
        }
    }

    /// What is the protocol's own.
    pub(crate) fn own(&self) -> &WebSocketSettings {
        static DEFAULT: LazyLock<WebSocketSettings> = LazyLock::new(WebSocketSettings::default);
        match &self.config.protocol {
            ProtocolSettings::WebSocket(websocket) => websocket,
            // A pool's settings are of its protocol's kind: that is checked when it is made.
            ProtocolSettings::Http(_)
            | ProtocolSettings::Https(_)
            | ProtocolSettings::Http2(_)
            | ProtocolSettings::Grpc(_) => &DEFAULT,
        }
    }

    /// What a client may send.
    pub(crate) fn limits(&self) -> Limits {
        let own = self.own();
        Limits {
            max_frame: own.max_frame_size.get(),
            max_message: own.max_message_size.get(),
            max_fragments: own.max_fragments.get(),
            extensions: self.extensions,
        }
    }

    /// How long is waited for what.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let mut timeouts = Timeouts::of(&self.config.common);
        // A quiet session is no slow one.
        timeouts.min_rate = None;
        timeouts.lift_all(|limit| self.is_lifted(limit));
        timeouts
    }

    /// The longest life of a session.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        let max_age = self.config.common.max_age;
        max_age.filter(|_| !self.is_lifted(Limit::MaxAge))
    }
}
