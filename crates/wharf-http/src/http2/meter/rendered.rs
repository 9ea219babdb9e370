//! [`Rendered`]: frames of our own, as bytes.
//!
//! They go where the [`Meter`](super::Meter) says that a frame fits, and through
//! [`Meter::sent`](super::Meter::sent) like all that is sent.

use super::frame::{ErrorCode, FrameHeader, HEADER, Kind};

/// At most so much of a debug text is sent.
const MAX_DEBUG: usize = 64;

/// A SETTINGS frame with nothing in it.
const SETTINGS: usize = HEADER;

/// A GOAWAY without debug text.
const GOAWAY: usize = HEADER + 8;

/// A few frames in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rendered {
    bytes: [u8; SETTINGS + GOAWAY + MAX_DEBUG],
    length: usize,
}

impl Rendered {
    /// PING with this content (RFC 9113 6.7).
    pub(crate) fn ping(opaque: [u8; 8]) -> Self {
        let mut rendered = Self::empty();
        rendered.frame(Kind::Ping, 0, &[&opaque]);
        rendered
    }

    /// `RST_STREAM` (RFC 9113 6.4).
    pub(crate) fn reset(stream: u32, code: ErrorCode) -> Self {
        let mut rendered = Self::empty();
        rendered.frame(Kind::Reset, stream, &[&code.0.to_be_bytes()]);
        rendered
    }

    /// GOAWAY: streams after `last_stream` are not served (RFC 9113 6.8). Of `debug` the first 64
    /// bytes are sent.
    pub(crate) fn go_away(last_stream: u32, code: ErrorCode, debug: &str) -> Self {
        let mut rendered = Self::empty();
        rendered.add_go_away(last_stream, code, debug);
        rendered
    }

    /// All that a connection hears for which there is no room: an empty SETTINGS, which has to come
    /// first (RFC 9113 3.4), and GOAWAY with stream 0 and `NO_ERROR`, so that everything it has sent
    /// may be sent again elsewhere.
    pub(crate) fn refusal() -> Self {
        let mut rendered = Self::empty();
        rendered.frame(Kind::Settings, 0, &[]);
        rendered.add_go_away(0, ErrorCode::NO_ERROR, "");
        rendered
    }

    /// What goes onto the wire.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    const fn empty() -> Self {
        Self {
            bytes: [0; SETTINGS + GOAWAY + MAX_DEBUG],
            length: 0,
        }
    }

    fn add_go_away(&mut self, last_stream: u32, code: ErrorCode, debug: &str) {
        let debug = &debug.as_bytes()[..debug.len().min(MAX_DEBUG)];
        let (last, code) = (last_stream.to_be_bytes(), code.0.to_be_bytes());
        self.frame(Kind::GoAway, 0, &[&last, &code, debug]);
    }

    fn frame(&mut self, kind: Kind, stream: u32, payload: &[&[u8]]) {
        let length = payload.iter().map(|part| part.len()).sum::<usize>();
        let header = FrameHeader {
            length: u32::try_from(length).unwrap_or(0),
            kind,
            flags: 0,
            stream,
        };
        self.add(&header.render());
        for part in payload {
            self.add(part);
        }
    }

    fn add(&mut self, part: &[u8]) {
        self.bytes[self.length..self.length + part.len()].copy_from_slice(part);
        self.length += part.len();
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorCode, Rendered};

    #[test]
    fn the_frames_are_those_of_the_specification() {
        let ping = Rendered::ping(*b"12345678");
        assert_eq!(ping.as_bytes(), b"\0\0\x08\x06\0\0\0\0\x0012345678");
        let reset = Rendered::reset(5, ErrorCode::CANCEL);
        assert_eq!(reset.as_bytes(), b"\0\0\x04\x03\0\0\0\0\x05\0\0\0\x08");
        let calm = Rendered::go_away(7, ErrorCode::ENHANCE_YOUR_CALM, "rapid_reset");
        assert_eq!(
            calm.as_bytes(),
            b"\0\0\x13\x07\0\0\0\0\0\0\0\0\x07\0\0\0\x0brapid_reset"
        );
        assert_eq!(
            Rendered::refusal().as_bytes(),
            b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0"
        );
    }

    #[test]
    fn a_long_debug_text_is_cut() {
        let long = Rendered::go_away(0, ErrorCode::NO_ERROR, &"x".repeat(1000));
        assert_eq!(long.as_bytes().len(), 9 + 8 + 64);
        assert_eq!(long.as_bytes()[2], 72);
    }
}
