//! Frames as they go over the wire, right or wrong. A frame is its first byte and its payload.

/// The first byte of a whole message of text.
pub const TEXT: u8 = 0x81;
/// The first byte of a whole message of bytes.
pub const BINARY: u8 = 0x82;
/// The first byte of a Close.
pub const CLOSE: u8 = 0x88;
/// The first byte of a Ping.
pub const PING: u8 = 0x89;
/// The first byte of a Pong.
pub const PONG: u8 = 0x8a;

/// A client's frame.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    masked_with([1, 2, 3, 4], first, payload)
}

/// A client's frame with this mask: one of zeros leaves the payload to be read.
pub fn masked_with(mask: [u8; 4], first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, 0x80, payload.len());
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    frame
}

/// A Close, as it is heard.
pub fn close(code: u16, why: &str) -> (u8, Vec<u8>) {
    let payload = code.to_be_bytes().into_iter().chain(why.bytes());
    (CLOSE, payload.collect())
}

/// The head of a frame up to its mask; `bit` says whether there is one.
pub(super) fn head(first: u8, bit: u8, length: usize) -> Vec<u8> {
    if let Some(length) = u8::try_from(length).ok().filter(|length| *length < 126) {
        vec![first, bit | length]
    } else if let Ok(length) = u16::try_from(length) {
        [&[first, bit | 0x7e], &length.to_be_bytes()[..]].concat()
    } else {
        let length = u64::try_from(length).expect("it fits");
        [&[first, bit | 0x7f], &length.to_be_bytes()[..]].concat()
    }
}

/// How many bytes the length in the second byte of a server's frame takes up after it, and the length
/// if that is none.
pub(super) fn extended(second: u8) -> (usize, usize) {
    assert!(second < 128, "a server's frame is masked");
    match second {
        126 => (2, 0),
        127 => (8, 0),
        length => (0, length.into()),
    }
}

/// The length that these bytes are.
pub(super) fn length(bytes: &[u8]) -> usize {
    let add = |length, byte: &u8| length << 8 | usize::from(*byte);
    bytes.iter().fold(0, add)
}
