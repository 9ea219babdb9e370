//! [`Outbound`]: where the frames end that a handler sends.
//!
//! What we say to the client goes between two of them. It begins before the answer that opens the
//! session: the codec of HTTP/1 writes that to the same place.

use super::frame::{HeadScan, Opcode};

/// The frames that a handler sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outbound {
    place: Place,
    scan: HeadScan,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the head of the answer: so much of [`ANSWER`] is here. An earlier answer may still be on
    /// its way.
    Before(usize),
    /// In the head of the answer: so much of [`END`] is here.
    Answer(usize),
    /// In the head of a frame, or before it.
    Frame,
    Payload {
        left: u64,
        close: bool,
    },
    /// After the handler's Close.
    Closed,
}

/// The beginning of the answer that opens a session, and the end of its head.
const ANSWER: &[u8] = b"HTTP/1.1 101";
const END: &[u8] = b"\r\n\r\n";

impl Outbound {
    pub(crate) const fn new() -> Self {
        Self {
            place: Place::Before(0),
            scan: HeadScan::new(),
        }
    }

    /// Where no answer is among the bytes.
    pub(crate) const fn opened() -> Self {
        Self {
            place: Place::Frame,
            scan: HeadScan::new(),
        }
    }

    /// Whether something of ours can be said now.
    pub(crate) const fn is_at_boundary(&self) -> bool {
        matches!(self.place, Place::Frame) && self.scan.is_untouched()
    }

    /// Whether the handler has said Close.
    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.place, Place::Closed)
    }

    /// The handler has said Close, and not by its bytes.
    pub(crate) fn close(&mut self) {
        self.place = Place::Closed;
    }

    /// How many of the bytes that come next can be sent before something of ours can be said: those to
    /// the next boundary, or all.
    pub(crate) fn up_to_boundary(&self, bytes: &[u8]) -> usize {
        let mut ahead = *self;
        ahead.step(bytes)
    }

    /// The handler has sent these bytes.
    pub(crate) fn sent(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let passed = self.step(bytes);
            bytes = &bytes[passed..];
        }
    }

    /// Passes bytes to the next boundary, at least one.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.place {
                Place::Before(matched) => {
                    *matched = advance(ANSWER, *matched, bytes[at]);
                    at += 1;
                    if *matched == ANSWER.len() {
                        self.place = Place::Answer(0);
                    }
                }
                Place::Answer(matched) => {
                    *matched = advance(END, *matched, bytes[at]);
                    at += 1;
                    if *matched == END.len() {
                        self.place = Place::Frame;
                    }
                }
                Place::Frame => {
                    let (used, head) = self.scan.take(&bytes[at..]);
                    at += used;
                    if let Some(head) = head {
                        let close = head.opcode == Opcode::Close;
                        self.payload(head.length, close);
                    }
                }
                Place::Payload { left, close } => {
                    let room = (bytes.len() - at) as u64;
                    let passed = room.min(*left);
                    let (left, close) = (*left - passed, *close);
                    // At most `room`.
                    at += usize::try_from(passed).unwrap_or(bytes.len() - at);
                    self.payload(left, close);
                }
                Place::Closed => return bytes.len(),
            }
            if self.is_at_boundary() {
                break;
            }
        }
        at
    }

    fn payload(&mut self, left: u64, close: bool) {
        self.place = match (left, close) {
            (0, true) => Place::Closed,
            (0, false) => Place::Frame,
            (left, close) => Place::Payload { left, close },
        };
    }
}

/// How much of `pattern` is there after `byte`. For patterns that repeat nothing but their first byte.
fn advance(pattern: &[u8], matched: usize, byte: u8) -> usize {
    if pattern.get(matched) == Some(&byte) {
        matched + 1
    } else {
        usize::from(pattern.first() == Some(&byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n";

    fn opened() -> Outbound {
        let mut outbound = Outbound::new();
        outbound.sent(OPENED);
        outbound
    }

    #[test]
    fn the_first_boundary_is_the_end_of_the_answer_also_behind_another() {
        let before = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nHTTP";
        let mut outbound = Outbound::new();
        for byte in before.iter().chain(OPENED) {
            assert!(!outbound.is_at_boundary());
            outbound.sent(&[*byte]);
        }
        assert!(outbound.is_at_boundary());
        let both = [OPENED, b"\x81\x01x"].concat();
        assert_eq!(Outbound::new().up_to_boundary(&both), OPENED.len());
    }

    #[test]
    fn boundaries_are_between_frames_however_they_are_cut() {
        let frames = b"\x01\x02ab\x00\x00\x80\x7e\x00\x80";
        let bytes = [&frames[..], &[b'x'; 128], b"\x82\x81maskx"].concat();
        let ends = [4, 6, 138, bytes.len()];
        let mut whole = opened();
        let (mut at, mut found) = (0, Vec::new());
        while at < bytes.len() {
            let next = whole.up_to_boundary(&bytes[at..]);
            whole.sent(&bytes[at..at + next]);
            at += next;
            found.push(at);
        }
        assert_eq!(found, ends);
        let mut cut = opened();
        for (n, byte) in bytes.iter().enumerate() {
            cut.sent(&[*byte]);
            assert_eq!(cut.is_at_boundary(), ends.contains(&(n + 1)), "{n}");
        }
    }

    #[test]
    fn nothing_is_said_after_the_handlers_close() {
        for close in [&b"\x88\x00"[..], b"\x88\x02\x03\xe8"] {
            let mut outbound = opened();
            outbound.sent(close);
            assert!(outbound.is_closed() && !outbound.is_at_boundary());
            assert_eq!(outbound.up_to_boundary(b"\x81\x00"), 2);
        }
    }
}
