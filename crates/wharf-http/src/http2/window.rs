//! [`Window`]: the way to the peer that all streams of a connection share.

use wharf_control::{Deadline, Timestamp};

use super::meter::Meter;
use crate::waits::{Sending, Timeouts};

/// The way to the peer that all streams of a connection share: its window, and its socket. While that
/// takes nothing, no single stream is to blame, and the connection is judged as a whole.
#[derive(Debug, Default)]
pub(crate) struct Window {
    room: Sending,
    /// How much DATA had gone at the last look.
    sent: u64,
    /// Since when there has been room.
    open_since: Option<Timestamp>,
}

impl Window {
    /// Looks at what has gone, on behalf of so many streams. Whether it takes nothing.
    pub(crate) fn look(&mut self, meter: &Meter, streams: usize, now: Timestamp) -> bool {
        let sent = meter.tally().data_sent;
        self.room.taken(sent - self.sent, now);
        self.sent = sent;
        if streams > 0 && !meter.has_room() {
            self.room.blocked(now);
            self.open_since = None;
        } else if *self.open_since.get_or_insert(now) < now {
            // Not at once: the streams are woken by the room, and fill it a moment later.
            self.room.unblocked(now);
        }
        self.room.is_blocked()
    }

    /// When the peer has kept the window shut, or opened it too slowly, for too long.
    pub(crate) fn deadline(&self, limits: &Timeouts) -> Option<Deadline> {
        self.room.deadline(limits)
    }
}
