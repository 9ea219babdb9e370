//! The limit of the process grows with the time since the start.

use std::sync::atomic::Ordering;

use wharf_control::Timestamp;

use super::Registry;
use crate::connection::Connection;

impl<C: Connection> Registry<C> {
    /// Notes when the process began to serve, once.
    pub(super) fn begin_to_serve(&self) {
        let (now, relaxed) = (self.inner.shared.clock.now().as_nanos(), Ordering::Relaxed);
        let begun = &self.inner.served_from;
        // It fails if that was noted before.
        let _ = begun.compare_exchange(0, now + 1, relaxed, relaxed);
    }

    /// Lets the limit grow; whoever waits for a place hears of it.
    pub(super) fn ramp(&self, now: Timestamp) {
        let Some(begun) = self
            .inner
            .served_from
            .load(Ordering::Relaxed)
            .checked_sub(1)
        else {
            return;
        };
        let (shared, since) = (&self.inner.shared, now.since(Timestamp::from_nanos(begun)));
        if shared.books().has_served(shared.process, since) {
            shared.tell_freed();
        }
    }
}
