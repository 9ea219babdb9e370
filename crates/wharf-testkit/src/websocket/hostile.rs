//! Frames that no honest client sends.

use super::frame::head;
use super::{PING, masked};

/// A frame without the mask that every client's has.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&head(first, 0, payload.len())[..], payload].concat()
}

/// The head of a frame of so many bytes, and nothing of them.
pub fn announced(first: u8, length: usize) -> Vec<u8> {
    [&head(first, 0x80, length)[..], &[0; 4]].concat()
}

/// A message in so many fragments without content, the last of which is not there.
pub fn fragments(count: usize) -> Vec<u8> {
    [masked(0x01, b""), masked(0x00, b"").repeat(count - 1)].concat()
}

/// So many Pings at once, with this payload.
pub fn pings(count: usize, payload: &[u8]) -> Vec<u8> {
    masked(PING, payload).repeat(count)
}
