//! [`Settings`]: a pool's configuration as one HTTP/1 connection uses it.

use std::num::NonZeroU64;
use std::time::Duration;

use wharf_control::MinDataRate;
use wharf_pool::Pool;
use wharf_pool::config::{ByteSize, Count};

use super::exchange::Timeouts;
use super::head::HeadLimits;
use crate::connection::HttpConnection;

/// A peer may be slower than `min_data_rate` for so long in all (Kestrel's and IIS's number).
const RATE_GRACE: Duration = Duration::from_secs(5);

/// What a connection needs of its pool's configuration, and of which generation that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) generation: u64,
    pub(crate) head: HeadLimits,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_age_grace: Duration,
    pub(crate) max_requests: Option<u64>,
}

impl Settings {
    /// The settings in force.
    pub(crate) fn of(pool: &Pool<HttpConnection>) -> Self {
        // Read first: a change in between makes it look old, and it is read again.
        let generation = pool.generation();
        let config = pool.config();
        let (common, http) = (&config.common, &config.protocol);
        let min_rate = common.min_data_rate.and_then(|rate| {
            NonZeroU64::new(rate.get()).map(|bytes_per_second| MinDataRate {
                bytes_per_second,
                grace: RATE_GRACE,
            })
        });
        Self {
            generation,
            head: HeadLimits {
                max_header_size: http.max_header_size.as_usize(),
                max_headers: http.max_headers.get() as usize,
                max_target: http.max_target.as_usize(),
                max_body_size: http.max_body_size.map(ByteSize::get),
            },
            timeouts: Timeouts {
                connection: common.connection_timeout,
                headers: common.headers_timeout,
                request: common.request_timeout,
                keep_alive: common.keep_alive_timeout,
                stream_idle: common.stream_idle_timeout,
                min_rate,
            },
            max_age: common.max_age,
            max_age_grace: common.max_age_grace,
            max_requests: common.max_requests.map(|n| u64::from(Count::get(n))),
        }
    }
}
