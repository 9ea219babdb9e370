//! [`Sending`]: bytes on their way to the peer.

use std::time::Duration;

use wharf_control::{Deadline, RateMeter, Timestamp, Wait, earliest};
use wharf_pool::Tracked;

use super::Timeouts;
use crate::connection::HttpConnection;
use crate::transport::Transport;

/// Bytes on their way to the peer: through its socket, or through the window of its stream.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    /// Since when the peer takes nothing.
    blocked_since: Option<Timestamp>,
    /// When it did so for the first time during this answer.
    first_blocked: Option<Timestamp>,
    rate: RateMeter,
}

/// What a peer takes so soon after the first wait has only filled the buffers on the way to it.
const FILL: Duration = Duration::from_millis(300);

impl Sending {
    /// Another answer begins: what was paid for the one before does not count.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        self.rate = RateMeter::new();
        if self.blocked_since.is_some() {
            self.rate.waiting(now);
        } else {
            self.first_blocked = None;
        }
    }

    /// The peer takes bytes again.
    pub(crate) fn unblocked(&mut self, now: Timestamp) {
        if self.blocked_since.take().is_some() {
            self.rate.paused(now);
        }
    }

    /// The peer takes nothing more.
    pub(crate) fn blocked(&mut self, now: Timestamp) {
        self.first_blocked.get_or_insert(now);
        self.blocked_since.get_or_insert(now);
        self.rate.waiting(now);
    }

    /// The peer has taken bytes that were waiting for it.
    pub(crate) fn taken(&mut self, bytes: u64, now: Timestamp) {
        let Self {
            blocked_since: Some(since),
            first_blocked,
            rate,
        } = self
        else {
            return;
        };
        if bytes == 0 {
            return;
        }
        *since = now;
        if first_blocked.is_some_and(|first| now - first <= FILL) {
            *rate = RateMeter::new();
        } else {
            rate.delivered(bytes, now);
        }
        rate.waiting(now);
    }

    /// Something else has kept the peer from taking: its wait begins again.
    pub(crate) fn excuse(&mut self, now: Timestamp) {
        if let Some(since) = &mut self.blocked_since {
            *since = now;
            self.rate = RateMeter::new();
            self.rate.waiting(now);
        }
    }

    /// Whether the peer takes nothing more.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked_since.is_some()
    }

    /// When the peer has been silent or slow for too long.
    pub(crate) fn deadline(&self, limits: &Timeouts) -> Option<Deadline> {
        let min = limits.min_rate.filter(|_| self.is_blocked());
        earliest([
            Deadline::new(Wait::Peer, self.blocked_since, limits.stream_idle),
            min.and_then(|min| Deadline::at(Wait::ReadRate, self.rate.due_at(min))),
        ])
    }
}

/// How many of the bytes sent the peer has taken; `None` if the transport cannot say.
pub(crate) fn taken_by_peer<T: Transport>(io: &Tracked<T, HttpConnection>) -> Option<u64> {
    let (_, sent) = io.handle().bytes();
    io.get_ref()
        .unacknowledged()
        .map(|waiting| sent.saturating_sub(waiting))
}
