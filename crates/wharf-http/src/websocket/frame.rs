//! [`HeadScan`]: the head of a frame (RFC 6455 5.2), however it is cut.

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
    /// Not given a meaning yet.
    Reserved,
}

impl Opcode {
    /// By the first byte of a frame.
    const fn of(first: u8) -> Self {
        match first & 0x0f {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => Self::Reserved,
        }
    }

    /// Whether it may stand between the fragments of a message.
    pub(crate) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// What the head of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) last: bool,
    /// The bits that an extension gives a meaning.
    pub(crate) reserved: u8,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) length: u64,
}

/// The head of a frame, as far as it is here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeadScan {
    bytes: [u8; LONGEST],
    have: u8,
}

/// Two bytes, eight of length, four of mask.
const LONGEST: usize = 14;

impl HeadScan {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; LONGEST],
            have: 0,
        }
    }

    /// Takes the next bytes of a head: how many of them, and the head when it is complete. Then the
    /// next one begins.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> (usize, Option<FrameHead>) {
        let mut used = 0;
        loop {
            let have = usize::from(self.have);
            if have == self.length() {
                return (used, Some(self.complete()));
            }
            let Some(byte) = bytes.get(used) else {
                return (used, None);
            };
            self.bytes[have] = *byte;
            self.have += 1;
            used += 1;
        }
    }

    /// Whether nothing of a head is here.
    pub(crate) const fn is_untouched(&self) -> bool {
        self.have == 0
    }

    /// What the frame is: the first byte says it.
    pub(crate) fn opcode(&self) -> Option<Opcode> {
        (self.have > 0).then(|| Opcode::of(self.bytes[0]))
    }

    /// How many bytes the head has, as far as that is known.
    const fn length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let mask = if self.bytes[1] & MASKED == 0 { 0 } else { 4 };
        2 + self.bytes_of_length() + mask
    }

    const fn bytes_of_length(&self) -> usize {
        match self.bytes[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    fn complete(&mut self) -> FrameHead {
        self.have = 0;
        let [first, second, rest @ ..] = self.bytes;
        let (length, mask) = rest.split_at(self.bytes_of_length());
        let length = if length.is_empty() {
            u64::from(second & !MASKED)
        } else {
            length
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        FrameHead {
            last: first & 0x80 != 0,
            reserved: first & 0x70,
            opcode: Opcode::of(first),
            mask: mask.first_chunk().copied().filter(|_| second & MASKED != 0),
            length,
        }
    }
}

const MASKED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(bytes: &[u8]) -> FrameHead {
        let mut whole = HeadScan::default();
        let (used, head) = whole.take(bytes);
        assert_eq!(used, bytes.len());
        let mut cut = HeadScan::default();
        for (n, byte) in bytes.iter().enumerate() {
            let (used, part) = cut.take(&[*byte]);
            assert_eq!((used, part.is_some()), (1, n + 1 == bytes.len()));
            assert!(part.is_none() || part == head);
        }
        head.unwrap()
    }

    #[test]
    fn every_length_has_its_own_head() {
        let head = scanned(b"\x81\x05");
        assert_eq!((head.opcode, head.length), (Opcode::Text, 5));
        assert!(head.last && head.reserved == 0 && head.mask.is_none());

        let head = scanned(b"\x02\xfe\x01\x00mask");
        assert_eq!((head.opcode, head.length), (Opcode::Binary, 256));
        assert_eq!((head.last, head.mask), (false, Some(*b"mask")));

        let head = scanned(b"\xc0\x7f\x80\0\0\0\0\0\0\x01");
        assert_eq!(
            (head.opcode, head.length),
            (Opcode::Continuation, (1 << 63) + 1)
        );
        assert_eq!(head.reserved, 0x40);
        assert_eq!(scanned(b"\x83\x00").opcode, Opcode::Reserved);
    }

    #[test]
    fn the_first_byte_tells_what_a_frame_is_and_what_follows_a_head_is_not_taken() {
        let mut scan = HeadScan::default();
        assert_eq!(scan.opcode(), None);
        assert_eq!(scan.take(b"\x89"), (1, None));
        assert_eq!(scan.opcode(), Some(Opcode::Ping));
        let (used, head) = scan.take(b"\x82maskpayload");
        assert_eq!((used, head.unwrap().length), (5, 2));
        assert!(scan.is_untouched());
    }
}
