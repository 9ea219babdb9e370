//! What is waited for in one exchange, and since when: the parts that HTTP/1 connections and HTTP/2
//! streams have in common. No clock, no IO: `now` is an argument.

mod receiving;
mod rehearsal;
mod reply;
mod sending;

pub(crate) use receiving::Receiving;
pub(crate) use rehearsal::limit_of;
pub(crate) use reply::Reply;
pub(crate) use sending::{Sending, taken_by_peer};

use std::num::NonZeroU64;
use std::time::Duration;

use wharf_control::{MinDataRate, Rung};
use wharf_pool::config::{CommonSettings, DryRun};

/// A peer may be slower than `min_data_rate` for so long in all (Kestrel's and IIS's number).
const RATE_GRACE: Duration = Duration::from_secs(5);

/// The limits of what is waited for, as a pool's configuration has them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connection: Duration,
    pub(crate) headers: Duration,
    pub(crate) request: Option<Duration>,
    pub(crate) keep_alive: Duration,
    pub(crate) stream_idle: Option<Duration>,
    pub(crate) min_rate: Option<MinDataRate>,
    /// Which of the pool's limits are only told of.
    pub(crate) dry_run: DryRun,
}

impl Timeouts {
    /// The limits in a pool's settings.
    pub(crate) fn of(common: &CommonSettings) -> Self {
        let min_rate = common.min_data_rate.and_then(|rate| {
            NonZeroU64::new(rate.get()).map(|bytes_per_second| MinDataRate {
                bytes_per_second,
                grace: RATE_GRACE,
            })
        });
        Self {
            connection: common.connection_timeout,
            headers: common.headers_timeout,
            request: common.request_timeout,
            keep_alive: common.keep_alive_timeout,
            stream_idle: common.stream_idle_timeout,
            min_rate,
            dry_run: common.dry_run,
        }
    }

    /// The same where memory is as short as this rung says: a peer that takes nothing, or owes something and
    /// is silent, holds what we keep for it, and has less time for that.
    pub(crate) fn under(self, rung: Rung) -> Self {
        Self {
            stream_idle: self.stream_idle.map(|timeout| rung.idle(timeout)),
            ..self
        }
    }
}
