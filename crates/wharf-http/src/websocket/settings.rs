//! [`Settings`]: a pool's configuration as one session uses it.

use std::time::Duration;

use wharf_pool::Pool;

use super::meter::Limits;
use super::slow_consumer::SlowConsumer;
use crate::connection::HttpConnection;
use crate::settings::{ProtocolSettings, WebSocketSettings};
use crate::waits::Timeouts;

/// What a session needs of its pool's configuration, and of which generation that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) generation: u64,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) pong_timeout: Duration,
    pub(crate) max_age: Option<Duration>,
    pub(crate) send_queue: u64,
    pub(crate) slow_consumer: SlowConsumer,
}

impl Settings {
    /// The settings in force; `extensions` is whether the handler has agreed on one.
    pub(crate) fn of(pool: &Pool<HttpConnection>, extensions: bool) -> Self {
        // Read first: a change in between makes it look old, and it is read again.
        let generation = pool.generation();
        let config = pool.config();
        let default = WebSocketSettings::default();
        let websocket = match &config.protocol {
            ProtocolSettings::WebSocket(websocket) => websocket,
            // A pool's settings are of its protocol's kind: that is checked when it is made.
            ProtocolSettings::Http(_)
            | ProtocolSettings::Https(_)
            | ProtocolSettings::Http2(_)
            | ProtocolSettings::Grpc(_) => &default,
        };
        let mut timeouts = Timeouts::of(&config.common);
        // A quiet session is no slow one.
        timeouts.min_rate = None;
        Self {
            generation,
            limits: Limits {
                max_frame: websocket.max_frame_size.get(),
                max_message: websocket.max_message_size.get(),
                max_fragments: websocket.max_fragments.get(),
                extensions,
            },
            timeouts,
            ping_interval: websocket.ping_interval,
            pong_timeout: websocket.pong_timeout,
            max_age: config.common.max_age,
            send_queue: websocket.send_queue.get(),
            slow_consumer: websocket.slow_consumer,
        }
    }
}
