//! [`Inbound`]: what a client has sent of the connection itself.

use wharf_control::Timestamp;

use super::frame::{Kind, PREFACE};
use super::walk::Walk;

/// The client's direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inbound {
    stage: Stage,
    since: Timestamp,
    pub(super) walk: Walk,
    pub(super) block: Option<Block>,
}

/// A header block of which more is to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    pub(super) ends_stream: bool,
    pub(super) since: Timestamp,
}

/// How much of the beginning has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// So many bytes of the preface.
    Preface(u8),
    /// Something that is none. What it is, the codec says.
    Foreign,
    /// The preface.
    Settings,
    /// The preface and SETTINGS.
    Begun,
}

/// What of a connection's beginning is still waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// The client's preface (RFC 9113 3.4).
    Preface,
    /// The client's SETTINGS, the first frame it must send.
    Settings,
    /// The client's acknowledgement of SETTINGS of ours.
    Acknowledgement,
}

/// What a client has begun and not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    /// A header block: within HEADERS or CONTINUATION, or between them.
    HeaderBlock,
    /// A DATA frame, to which the rules for request bodies apply.
    Data,
    /// Any other frame, or the header of one.
    Frame,
}

impl Inbound {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            stage: Stage::Preface(0),
            since: now,
            walk: Walk::new(),
            block: None,
        }
    }

    /// Takes the preface from the front of `bytes`. Returns the frames behind it.
    #[inline]
    pub(super) fn after_preface<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match self.stage {
            Stage::Settings | Stage::Begun => bytes,
            Stage::Foreign => &[],
            Stage::Preface(have) => self.preface(have, bytes),
        }
    }

    fn preface<'a>(&mut self, have: u8, bytes: &'a [u8]) -> &'a [u8] {
        let wanted = &PREFACE[usize::from(have)..];
        let (start, rest) = bytes.split_at(wanted.len().min(bytes.len()));
        // 24 bytes in all.
        let come = u8::try_from(start.len()).unwrap_or(u8::MAX);
        self.stage = if !wanted.starts_with(start) {
            Stage::Foreign
        } else if start.len() == wanted.len() {
            Stage::Settings
        } else {
            Stage::Preface(have.saturating_add(come))
        };
        if self.has_preface() { rest } else { &[] }
    }

    /// SETTINGS are complete, and with the first of them the beginning.
    pub(super) const fn settings(&mut self) {
        self.stage = Stage::Begun;
    }

    const fn has_preface(&self) -> bool {
        matches!(self.stage, Stage::Settings | Stage::Begun)
    }

    pub(super) const fn has_settings(&self) -> bool {
        matches!(self.stage, Stage::Begun)
    }

    pub(super) const fn opening(&self) -> Option<(Opening, Timestamp)> {
        match self.stage {
            Stage::Preface(_) | Stage::Foreign => Some((Opening::Preface, self.since)),
            Stage::Settings => Some((Opening::Settings, self.since)),
            Stage::Begun => None,
        }
    }

    pub(super) fn owed(&self) -> Option<(Owed, Timestamp)> {
        let frame = self.walk.unfinished();
        if let Some(block) = self.block {
            return Some((Owed::HeaderBlock, block.since));
        }
        let (kind, since) = frame?;
        let owed = match kind {
            Some(Kind::Headers | Kind::Continuation) => Owed::HeaderBlock,
            Some(Kind::Data) => Owed::Data,
            Some(
                Kind::Priority
                | Kind::Reset
                | Kind::Settings
                | Kind::PushPromise
                | Kind::Ping
                | Kind::GoAway
                | Kind::WindowUpdate
                | Kind::PriorityUpdate
                | Kind::Unknown(_),
            )
            | None => Owed::Frame,
        };
        Some((owed, since))
    }
}
