//! [`Outbound`]: what we have sent of the connection itself, and what of it waits for an answer.

use wharf_control::Timestamp;

use super::frame::{FrameHeader, Kind};
use super::walk::Walk;

/// Our direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbound {
    pub(super) walk: Walk,
    /// SETTINGS without an acknowledgement, and since when there have been any.
    settings: u32,
    since: Timestamp,
    /// PINGs without an acknowledgement.
    pings: u32,
    /// What has gone.
    stage: Stage,
}

/// How far what has gone has come, as far as a frame of our own has to fit in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing: our SETTINGS come first.
    Silent,
    /// Whole frames, and no header block is open.
    Between,
    /// HEADERS or CONTINUATION, and the CONTINUATION that must follow has not.
    InBlock,
}

impl Outbound {
    pub(super) const fn new() -> Self {
        Self {
            walk: Walk::new(),
            settings: 0,
            since: Timestamp::ZERO,
            pings: 0,
            stage: Stage::Silent,
        }
    }

    /// Whether a frame of our own may follow what has gone.
    pub(super) fn at_boundary(&self) -> bool {
        self.stage == Stage::Between && self.walk.at_boundary()
    }

    /// Since when SETTINGS of ours are unacknowledged.
    pub(super) const fn unacknowledged(&self) -> Option<Timestamp> {
        if self.settings == 0 {
            None
        } else {
            Some(self.since)
        }
    }

    /// Notes a frame that was sent.
    pub(super) const fn passed(&mut self, header: FrameHeader, now: Timestamp) {
        let of_block = matches!(
            header.kind,
            Kind::Headers | Kind::PushPromise | Kind::Continuation
        );
        self.stage = if of_block && !header.has(FrameHeader::END_HEADERS) {
            Stage::InBlock
        } else {
            Stage::Between
        };
        if header.has(FrameHeader::ACK) {
            return;
        }
        match header.kind {
            Kind::Settings => {
                if self.settings == 0 {
                    self.since = now;
                }
                self.settings = self.settings.saturating_add(1);
            }
            Kind::Ping => self.pings = self.pings.saturating_add(1),
            Kind::Data
            | Kind::Headers
            | Kind::Priority
            | Kind::Reset
            | Kind::PushPromise
            | Kind::GoAway
            | Kind::WindowUpdate
            | Kind::Continuation
            | Kind::PriorityUpdate
            | Kind::Unknown(_) => {}
        }
    }

    /// The client acknowledges SETTINGS. Whether any waited for it.
    pub(super) const fn settings_acknowledged(&mut self) -> bool {
        let waited = self.settings > 0;
        self.settings = self.settings.saturating_sub(1);
        waited
    }

    /// The client acknowledges a PING. Whether any waited for it.
    pub(super) const fn ping_acknowledged(&mut self) -> bool {
        let waited = self.pings > 0;
        self.pings = self.pings.saturating_sub(1);
        waited
    }
}
