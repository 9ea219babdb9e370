//! [`Settings`]: a pool's configuration as one HTTP/1 connection uses it.

use std::time::Duration;

use wharf_pool::Pool;
use wharf_pool::config::{ByteSize, Count, Limit};

use super::head::HeadLimits;
use crate::connection::HttpConnection;
use crate::settings::ProtocolSettings;
use crate::waits::Timeouts;

/// What a connection needs of its pool's configuration, and of which generation that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) generation: u64,
    pub(crate) head: HeadLimits,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_age_grace: Duration,
    pub(crate) max_requests: Option<Count>,
}

impl Settings {
    /// Whether the limit is on a dry run. Then it holds no more for this connection: each is told of
    /// once.
    pub(crate) fn rehearse(&mut self, limit: Limit) -> bool {
        let rehearses = self.timeouts.rehearse(limit);
        if rehearses && limit == Limit::MaxAge {
            self.max_age = None;
        } else if rehearses && limit == Limit::MaxRequests {
            self.max_requests = None;
        }
        rehearses
    }

    /// The settings in force.
    pub(crate) fn of(pool: &Pool<HttpConnection>) -> Self {
        // Read first: a change in between makes it look old, and it is read again.
        let generation = pool.generation();
        let config = pool.config();
        let common = &config.common;
        Self {
            generation,
            head: head_limits(&config.protocol),
            timeouts: Timeouts::of(common).under(pool.rung()),
            max_age: common.max_age,
            max_age_grace: common.max_age_grace,
            max_requests: common.max_requests,
        }
    }
}

fn head_limits(settings: &ProtocolSettings) -> HeadLimits {
    let (size, headers, target, body) = match settings {
        ProtocolSettings::Http(it) => (
            it.max_header_size,
            it.max_headers,
            it.max_target,
            it.max_body_size,
        ),
        ProtocolSettings::Https(it) => (
            it.max_header_size,
            it.max_headers,
            it.max_target,
            it.max_body_size,
        ),
        // A pool's settings are of its protocol's kind: that is checked when it is made.
        ProtocolSettings::Http2(_) | ProtocolSettings::Grpc(_) | ProtocolSettings::WebSocket(_) => {
            return head_limits(&ProtocolSettings::default());
        }
    };
    HeadLimits {
        max_header_size: size.as_usize(),
        max_headers: headers.get() as usize,
        max_target: target.as_usize(),
        max_body_size: body.map(ByteSize::get),
    }
}
