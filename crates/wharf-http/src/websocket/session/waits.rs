//! [`Waits`]: what is waited for in a session, and for how long.

use wharf_control::{Deadline, Wait, earliest};
use wharf_pool::Timestamp;

use super::{Heartbeat, PATIENCE, Session};

/// What is waited for beyond what every session waits for: where that begins, there is a new deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits(u8);

impl Waits {
    /// For the rest of a frame or message.
    const REST: u8 = 1;
    /// For the answer to our Ping.
    const PONG: u8 = 1 << 1;

    /// Whether something is waited for that was not `before`.
    pub(crate) const fn is_more_than(self, before: Self) -> bool {
        self.0 & !before.0 != 0
    }
}

impl Session {
    /// The client is to be asked whether it is there.
    pub(crate) fn ask(&mut self) {
        if self.heartbeat == Heartbeat::Quiet && self.ending.is_none() {
            self.heartbeat = Heartbeat::Due;
        }
    }

    /// It is not the client that is silent: the handler does not listen.
    pub(crate) fn excuse(&mut self, now: Timestamp) {
        self.heard(now);
        self.moved = now;
    }

    /// Something has come from the client.
    pub(super) fn heard(&mut self, now: Timestamp) {
        self.heard = now;
        if let Heartbeat::Asked(_) = self.heartbeat {
            self.heartbeat = Heartbeat::Quiet;
        }
    }

    /// What is waited for now, beyond what every session waits for.
    pub(crate) fn waits(&self) -> Waits {
        let rest = if self.inbound.is_amid() {
            Waits::REST
        } else {
            0
        };
        let asked = matches!(self.heartbeat, Heartbeat::Asked(_));
        Waits(rest | if asked { Waits::PONG } else { 0 })
    }

    /// What is waited for that is over first. Who is `told` to finish is not told again for being idle.
    pub(crate) fn deadline(&self, told: bool) -> Option<Deadline> {
        if let Some(ending) = self.ending {
            return Deadline::new(Wait::Acknowledgement, Some(ending.since), Some(PATIENCE));
        }
        let (own, timeouts) = (self.settings.own(), self.settings.timeouts());
        let idle = (!told).then_some(self.active);
        let owed = self.inbound.is_amid().then_some(self.moved);
        let (quiet, asked) = match self.heartbeat {
            Heartbeat::Quiet => (Some(self.heard), None),
            Heartbeat::Due => (None, None),
            Heartbeat::Asked(since) => (None, Some(since)),
        };
        earliest([
            Deadline::new(Wait::NextRequest, idle, Some(timeouts.keep_alive)),
            Deadline::new(Wait::Peer, owed, timeouts.stream_idle),
            Deadline::new(Wait::Sign, quiet, own.ping_interval),
            Deadline::new(Wait::Pong, asked, Some(own.pong_timeout)),
        ])
    }
}
