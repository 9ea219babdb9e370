//! [`Control`]: a control frame of the peer's, and the control frames that we say.

use super::frame::FrameHead;

/// The largest payload of a control frame (RFC 6455 5.5).
pub(crate) const MOST: usize = 125;

/// A peer's control frame, as far as it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    mask: [u8; 4],
    length: u8,
    /// As it came, masked.
    payload: [u8; MOST],
}

impl Control {
    pub(super) fn new(head: &FrameHead) -> Self {
        Self {
            mask: head.mask.unwrap_or_default(),
            length: 0,
            payload: [0; MOST],
        }
    }

    /// More of its payload. What goes past the longest is not kept; nobody gives it that.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.payload.get_mut(usize::from(self.length)) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    /// Its payload.
    pub(crate) fn payload(&self) -> impl Iterator<Item = u8> {
        let masked = self.payload[..usize::from(self.length)].iter();
        masked
            .zip(self.mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask)
    }

    /// The Pong that was sent, byte by byte, for a handler that has asked for it.
    pub(crate) fn as_sent_pong(&self) -> Vec<u8> {
        let mut frame = vec![PONG, 0x80 | self.length];
        frame.extend_from_slice(&self.mask);
        frame.extend_from_slice(&self.payload[..usize::from(self.length)]);
        frame
    }
}

const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A Ping to the peer.
pub(crate) fn ping(payload: [u8; 8]) -> Vec<u8> {
    frame(PING, payload)
}

/// The answer to a Ping.
pub(crate) fn pong(to: &Control) -> Vec<u8> {
    frame(PONG, to.payload())
}

/// A Close with its code, or the empty one, which says nothing.
pub(crate) fn close(code: Option<u16>, why: &str) -> Vec<u8> {
    let Some(code) = code else {
        return frame(CLOSE, []);
    };
    frame(CLOSE, code.to_be_bytes().into_iter().chain(why.bytes()))
}

fn frame(first: u8, payload: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut frame = vec![first, 0];
    frame.extend(payload.into_iter().take(MOST));
    // At most 125.
    frame[1] = u8::try_from(frame.len() - 2).unwrap_or(0);
    frame
}
