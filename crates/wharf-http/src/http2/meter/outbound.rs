//! [`Outbound`]: what we have sent of the connection itself, and what of it waits for an answer.

use wharf_control::Timestamp;

use super::frame::{ErrorCode, FrameHeader, Kind};
use super::walk::{Frame, Walk};

/// Our direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbound {
    pub(super) walk: Walk,
    /// Between HEADERS or CONTINUATION and the CONTINUATION that must follow.
    in_block: bool,
    settings: OwnSettings,
    /// PINGs of hyper's without an acknowledgement.
    pings: u32,
    own: OwnPings,
    pub(super) went_away: Option<ErrorCode>,
}

/// SETTINGS of ours: whether any were sent, how many wait for an acknowledgement, and since when.
#[derive(Clone, Copy, Debug)]
struct OwnSettings {
    sent: bool,
    waiting: u32,
    since: Timestamp,
}

/// PINGs of our own, numbered from 1.
#[derive(Clone, Copy, Debug)]
struct OwnPings {
    made: u32,
    sent: u32,
    answered: u32,
    since: Timestamp,
}

/// What the content of our own PINGs begins with. hyper's two kinds begin otherwise.
const OWN: u64 = u64::from_be_bytes(*b"whrf\0\0\0\0");

impl Outbound {
    pub(super) const fn new() -> Self {
        Self {
            walk: Walk::new(),
            in_block: false,
            settings: OwnSettings {
                sent: false,
                waiting: 0,
                since: Timestamp::ZERO,
            },
            pings: 0,
            own: OwnPings {
                made: 0,
                sent: 0,
                answered: 0,
                since: Timestamp::ZERO,
            },
            went_away: None,
        }
    }

    pub(super) const fn at_boundary(&self) -> bool {
        self.settings.sent && !self.in_block && self.walk.at_boundary()
    }

    /// The content of the next PING of our own.
    pub(super) const fn next_ping(&mut self) -> [u8; 8] {
        self.own.made = self.own.made.wrapping_add(1);
        let number = self.own.made as u64;
        (OWN | number).to_be_bytes()
    }

    /// Since when a PING of our own is unanswered.
    pub(super) const fn unanswered_ping(&self) -> Option<Timestamp> {
        if self.own.sent == self.own.answered {
            None
        } else {
            Some(self.own.since)
        }
    }

    /// Since when SETTINGS of ours are unacknowledged.
    pub(super) const fn unacknowledged(&self) -> Option<Timestamp> {
        if self.settings.waiting == 0 {
            None
        } else {
            Some(self.settings.since)
        }
    }

    /// Whether our first SETTINGS were sent and all are acknowledged.
    pub(super) const fn is_acknowledged(&self) -> bool {
        self.settings.sent && self.settings.waiting == 0
    }

    /// Notes a frame that was sent.
    pub(super) fn passed(&mut self, frame: &Frame, now: Timestamp) {
        let header = frame.header;
        match header.kind {
            Kind::Headers | Kind::PushPromise | Kind::Continuation => {
                self.in_block = !header.has(FrameHeader::END_HEADERS);
            }
            Kind::Settings if !header.has(FrameHeader::ACK) => {
                self.settings.add(now);
            }
            Kind::Ping if !header.has(FrameHeader::ACK) => self.pinged(frame, now),
            Kind::GoAway => {
                let [_, _, _, _, a, b, c, d] = frame.prefix;
                self.went_away = Some(ErrorCode(u32::from_be_bytes([a, b, c, d])));
            }
            Kind::Data
            | Kind::Priority
            | Kind::Reset
            | Kind::Settings
            | Kind::Ping
            | Kind::WindowUpdate
            | Kind::PriorityUpdate
            | Kind::Unknown(_) => {}
        }
    }

    /// The client acknowledges SETTINGS. Whether any waited for it.
    pub(super) const fn settings_acknowledged(&mut self) -> bool {
        let waited = self.settings.waiting > 0;
        self.settings.waiting = self.settings.waiting.saturating_sub(1);
        waited
    }

    /// The client acknowledges a PING. Whether any waited for it.
    pub(super) fn ping_acknowledged(&mut self, frame: &Frame) -> bool {
        if let Some(number) = own_number(frame) {
            let ahead = number.wrapping_sub(self.own.answered);
            let sent = self.own.sent.wrapping_sub(self.own.answered);
            let waited = (1..=sent).contains(&ahead);
            if waited {
                self.own.answered = number;
            }
            return waited;
        }
        let waited = self.pings > 0;
        self.pings = self.pings.saturating_sub(1);
        waited
    }

    fn pinged(&mut self, frame: &Frame, now: Timestamp) {
        match own_number(frame) {
            Some(number) => {
                if self.own.sent == self.own.answered {
                    self.own.since = now;
                }
                self.own.sent = number;
            }
            None => self.pings = self.pings.saturating_add(1),
        }
    }
}

impl OwnSettings {
    const fn add(&mut self, now: Timestamp) {
        if self.waiting == 0 {
            self.since = now;
        }
        self.sent = true;
        self.waiting = self.waiting.saturating_add(1);
    }
}

/// The number of a PING of our own.
fn own_number(frame: &Frame) -> Option<u32> {
    u32::try_from(u64::from_be_bytes(frame.prefix) ^ OWN).ok()
}
