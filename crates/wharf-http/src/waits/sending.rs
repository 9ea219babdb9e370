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
    /// On the heap: most peers take everything at once.
    wait: Option<Box<Blocked>>,
}

/// A peer that does not take everything at once.
#[derive(Debug, Default)]
struct Blocked {
    /// Since when it takes nothing.
    since: Option<Timestamp>,
    /// When it did so for the first time during this answer.
    first: Option<Timestamp>,
    /// How many bytes it had taken when it was last looked at.
    taken: Option<u64>,
    rate: RateMeter,
}

/// What a peer takes so soon after the first wait has only filled the buffers on the way to it.
const FILL: Duration = Duration::from_millis(300);

impl Sending {
    /// Another answer begins: what was paid for the one before does not count.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        let blocked = self.wait.as_mut().filter(|wait| wait.since.is_some());
        if let Some(wait) = blocked {
            wait.rate = RateMeter::new();
            wait.rate.waiting(now);
        } else {
            self.wait = None;
        }
    }

    /// The peer takes bytes again.
    pub(crate) fn unblocked(&mut self, now: Timestamp) {
        if let Some(wait) = &mut self.wait
            && wait.since.take().is_some()
        {
            wait.rate.paused(now);
        }
    }

    /// The peer takes nothing more.
    pub(crate) fn blocked(&mut self, now: Timestamp) {
        let wait = self.wait.get_or_insert_default();
        wait.first.get_or_insert(now);
        wait.since.get_or_insert(now);
        wait.rate.waiting(now);
    }

    /// The peer has taken bytes that were waiting for it.
    pub(crate) fn taken(&mut self, bytes: u64, now: Timestamp) {
        let Some(Blocked {
            since: Some(since),
            first,
            rate,
            ..
        }) = self.wait.as_deref_mut()
        else {
            return;
        };
        if bytes == 0 {
            return;
        }
        *since = now;
        if first.is_some_and(|first| now - first <= FILL) {
            *rate = RateMeter::new();
        } else {
            rate.delivered(bytes, now);
        }
        rate.waiting(now);
    }

    /// The peer takes nothing more, and has taken so many bytes in all.
    pub(crate) fn blocked_after(&mut self, taken: u64, now: Timestamp) {
        self.blocked(now);
        if let Some(wait) = &mut self.wait {
            wait.taken = Some(taken);
        }
    }

    /// The peer has taken so many bytes in all: those since the last look, if there was one, were
    /// waiting for it.
    pub(crate) fn looked(&mut self, taken: u64, now: Timestamp) {
        let wait = self.wait.as_mut();
        let before = wait.and_then(|wait| wait.taken.replace(taken));
        self.taken(taken.saturating_sub(before.unwrap_or(taken)), now);
    }

    /// Something else has kept the peer from taking: its wait begins again.
    pub(crate) fn excuse(&mut self, now: Timestamp) {
        if let Some(wait) = &mut self.wait
            && let Some(since) = &mut wait.since
        {
            *since = now;
            wait.rate = RateMeter::new();
            wait.rate.waiting(now);
        }
    }

    /// Whether the peer takes nothing more.
    pub(crate) fn is_blocked(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.since.is_some())
    }

    /// When the peer has been silent or slow for too long.
    pub(crate) fn deadline(&self, limits: &Timeouts) -> Option<Deadline> {
        let wait = self.wait.as_ref()?;
        let min = limits.min_rate.filter(|_| wait.since.is_some());
        earliest([
            Deadline::new(Wait::Peer, wait.since, limits.stream_idle),
            min.and_then(|min| Deadline::at(Wait::ReadRate, wait.rate.due_at(min))),
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
