//! [`Walk`]: from frame to frame through one direction of a connection.
//!
//! It looks at the nine bytes of each header and at no more of the payload than [`Prefix`]; the rest is
//! skipped. What it finds depends on the bytes alone, not on how they were cut.

use wharf_control::Timestamp;

use super::frame::{FrameHeader, HEADER, Kind};

/// Where one direction stands between two frames or within one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// The frame whose payload is being skipped.
    inside: Option<FrameHeader>,
    /// Bytes of its payload still to come.
    left: u32,
    /// Part of a header or of a [`Prefix`].
    gathered: [u8; HEADER],
    have: u32,
    begun: Timestamp,
}

/// The first bytes of a payload, zeros where it is shorter.
pub(crate) type Prefix = [u8; PREFIX];

/// An error code, and all that is looked at of any other.
const PREFIX: usize = 4;

/// A frame that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    pub(crate) prefix: Prefix,
}

impl Frame {
    /// Takes a frame that is there as a whole: nearly all are such.
    #[inline]
    fn whole(bytes: &mut &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        let header = FrameHeader::parse(header);
        let (payload, rest) = rest.split_at_checked(header.length as usize)?;
        *bytes = rest;
        let prefix = if let Some(prefix) = payload.first_chunk() {
            *prefix
        } else {
            let mut prefix = [0; PREFIX];
            for (to, from) in prefix.iter_mut().zip(payload) {
                *to = *from;
            }
            prefix
        };
        Some(Self { header, prefix })
    }

    /// The beginning of the payload as a number: the code of `RST_STREAM`.
    pub(crate) const fn number(&self) -> u32 {
        u32::from_be_bytes(self.prefix)
    }

    /// Bytes of what the frame is there to carry: of DATA without padding, of a header block
    /// without padding and priority. Zero if the frame is malformed, and for all other types.
    pub(crate) const fn content(&self) -> u32 {
        let around = match self.header.kind {
            Kind::Data => padding(&self.header, &self.prefix),
            Kind::Headers => {
                let priority = if self.header.has(FrameHeader::PRIORITY) {
                    5
                } else {
                    0
                };
                padding(&self.header, &self.prefix) + priority
            }
            Kind::Continuation => 0,
            Kind::Priority
            | Kind::Reset
            | Kind::Settings
            | Kind::PushPromise
            | Kind::Ping
            | Kind::GoAway
            | Kind::WindowUpdate
            | Kind::PriorityUpdate
            | Kind::Unknown(_) => return 0,
        };
        self.header.length.saturating_sub(around)
    }
}

impl Walk {
    /// A direction in which nothing was sent yet.
    pub(crate) const fn new() -> Self {
        Self {
            inside: None,
            left: 0,
            gathered: [0; HEADER],
            have: 0,
            begun: Timestamp::ZERO,
        }
    }

    /// Takes bytes from the front of `bytes` up to the end of a frame; `None` when all are taken and
    /// nothing more is complete.
    #[inline]
    pub(crate) fn step(&mut self, bytes: &mut &[u8], now: Timestamp) -> Option<Frame> {
        if self.at_boundary()
            && let Some(frame) = Frame::whole(bytes)
        {
            self.begun = now;
            return Some(frame);
        }
        self.piecemeal(bytes, now)
    }

    fn piecemeal(&mut self, bytes: &mut &[u8], now: Timestamp) -> Option<Frame> {
        let header = match self.inside {
            Some(header) => header,
            None => self.header(bytes, now)?,
        };
        self.payload(header, bytes)
    }

    /// Whether the last frame is complete and the next has not begun.
    pub(crate) const fn at_boundary(&self) -> bool {
        self.inside.is_none() && self.have == 0
    }

    /// The frame that has begun and is not complete, if its header is, and when it began.
    pub(crate) const fn unfinished(&self) -> Option<(Option<Kind>, Timestamp)> {
        match self.inside {
            Some(header) => Some((Some(header.kind), self.begun)),
            None if self.have > 0 => Some((None, self.begun)),
            None => None,
        }
    }

    /// When the last frame began.
    pub(crate) const fn begun(&self) -> Timestamp {
        self.begun
    }

    /// What has come of the content of a DATA frame that is not complete.
    pub(crate) const fn content_so_far(&self) -> u32 {
        let Some(header) = self.inside else { return 0 };
        if !matches!(header.kind, Kind::Data) {
            return 0;
        }
        let come = header.length - self.left;
        let content = header
            .length
            .saturating_sub(padding(&header, &self.gathered));
        let first = header.has(FrameHeader::PADDED) as u32;
        let come = come.saturating_sub(first);
        if come < content { come } else { content }
    }

    fn header(&mut self, bytes: &mut &[u8], now: Timestamp) -> Option<FrameHeader> {
        if self.have == 0 {
            if bytes.is_empty() {
                return None;
            }
            self.begun = now;
        }
        let header = if let (0, Some((whole, rest))) = (self.have, bytes.split_first_chunk()) {
            *bytes = rest;
            FrameHeader::parse(whole)
        } else {
            if !self.gather(HEADER, bytes) {
                return None;
            }
            FrameHeader::parse(&self.gathered)
        };
        self.inside = Some(header);
        self.left = header.length;
        self.have = 0;
        self.gathered = [0; HEADER];
        Some(header)
    }

    fn payload(&mut self, header: FrameHeader, bytes: &mut &[u8]) -> Option<Frame> {
        let wanted = PREFIX.min(header.length as usize);
        if self.have() < wanted {
            let before = self.have();
            self.gather(wanted, bytes);
            self.left -= narrow(self.have() - before);
            if self.have() < wanted {
                return None;
            }
        }
        let skipped = bytes.len().min(self.left as usize);
        *bytes = &bytes[skipped..];
        self.left -= narrow(skipped);
        (self.left == 0).then(|| self.end(header))
    }

    fn end(&mut self, header: FrameHeader) -> Frame {
        self.inside = None;
        self.have = 0;
        let [a, b, c, d, ..] = self.gathered;
        let prefix = [a, b, c, d];
        Frame { header, prefix }
    }

    /// Gathers up to `wanted` bytes; whether they are there.
    fn gather(&mut self, wanted: usize, bytes: &mut &[u8]) -> bool {
        let have = self.have();
        let length = wanted.saturating_sub(have).min(bytes.len());
        let (taken, rest) = bytes.split_at(length);
        self.gathered[have..have + length].copy_from_slice(taken);
        self.have = narrow(have + length);
        *bytes = rest;
        self.have() == wanted
    }

    const fn have(&self) -> usize {
        self.have as usize
    }
}

/// Padding and the byte that tells its length (RFC 9113 6.1).
const fn padding(header: &FrameHeader, payload: &[u8]) -> u32 {
    if header.has(FrameHeader::PADDED) && header.length > 0 {
        1 + payload[0] as u32
    } else {
        0
    }
}

/// Lengths within a frame are under 2^24.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a part of a payload, which a u32 counts"
)]
const fn narrow(length: usize) -> u32 {
    length as u32
}

#[cfg(test)]
mod tests;
