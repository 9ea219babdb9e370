//! [`Receiving`]: the body of a request, on its way to us.

use wharf_control::{Deadline, RateMeter, Timestamp, Wait};

use super::Timeouts;

/// The body of a request, on its way to us.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    open: bool,
    /// Since when somebody waits for its bytes in vain.
    waiting_since: Option<Timestamp>,
    /// When it last moved, ended, or was last waited for.
    moved: Timestamp,
    rate: RateMeter,
}

impl Receiving {
    /// A request has come; `open` says whether a body follows its head.
    pub(crate) fn new(open: bool, now: Timestamp) -> Self {
        Self {
            open,
            moved: now,
            ..Self::default()
        }
    }

    /// Bytes are here, perhaps the last.
    pub(crate) fn received(&mut self, payload: u64, end: bool, now: Timestamp) {
        self.rate.delivered(payload, now);
        self.waiting_since = None;
        self.moved = now;
        self.open = !end;
    }

    /// Somebody asks for bytes and there are none.
    pub(crate) fn blocked(&mut self, now: Timestamp) {
        if self.open {
            self.waiting_since.get_or_insert(now);
            self.rate.waiting(now);
        }
    }

    /// Nobody wants the rest.
    pub(crate) fn abandoned(&mut self) {
        self.open = false;
    }

    /// Whether the rest is still to come.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether somebody waits for the rest.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting_since().is_some()
    }

    fn waiting_since(&self) -> Option<Timestamp> {
        self.waiting_since.filter(|_| self.open)
    }

    /// When it last moved.
    pub(crate) fn moved(&self) -> Timestamp {
        self.moved
    }

    /// When the peer has been silent for too long; a response that has begun excuses it.
    pub(crate) fn silence(&self, limits: &Timeouts, responding: bool) -> Option<Deadline> {
        let since = self.waiting_since().filter(|_| !responding);
        Deadline::new(Wait::Peer, since, limits.stream_idle)
    }

    /// When the peer has been too slow.
    pub(crate) fn slowness(&self, limits: &Timeouts) -> Option<Deadline> {
        let min = limits.min_rate.filter(|_| self.is_waited_for())?;
        Deadline::at(Wait::BodyRate, self.rate.due_at(min))
    }
}
