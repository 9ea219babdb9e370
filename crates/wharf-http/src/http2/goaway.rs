//! [`GoAway`]: the last frame of a connection that is ended for what its peer does.

use h2::Reason;

/// At most so much of a debug text is sent.
const MOST_TEXT: usize = 32;

/// Header, last stream and code.
const FIXED: usize = 9 + 8;

/// GOAWAY with a text that says why (RFC 9113 6.8): the codec sends none, and gRPC's clients slow down
/// by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GoAway {
    bytes: [u8; FIXED + MOST_TEXT],
    length: usize,
}

impl GoAway {
    /// Streams after `last` are not served. Of `why` the first 32 bytes are sent.
    pub(crate) fn new(last: u32, code: Reason, why: &str) -> Self {
        let text = &why.as_bytes()[..why.len().min(MOST_TEXT)];
        let length = FIXED + text.len();
        let mut bytes = [0; FIXED + MOST_TEXT];
        let payload = u32::try_from(length - 9).unwrap_or(0);
        bytes[..3].copy_from_slice(&payload.to_be_bytes()[1..]);
        bytes[3] = 7;
        bytes[9..13].copy_from_slice(&last.to_be_bytes());
        bytes[13..17].copy_from_slice(&u32::from(code).to_be_bytes());
        bytes[FIXED..length].copy_from_slice(text);
        Self { bytes, length }
    }

    /// What goes onto the wire.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_is_that_of_the_specification() {
        let calm = GoAway::new(7, Reason::ENHANCE_YOUR_CALM, "rapid_reset");
        let expected = b"\0\0\x13\x07\0\0\0\0\0\0\0\0\x07\0\0\0\x0brapid_reset";
        assert_eq!(calm.as_bytes(), expected);
        let long = GoAway::new(1, Reason::NO_ERROR, &"x".repeat(100));
        assert_eq!(long.as_bytes().len(), 17 + 32);
    }
}
