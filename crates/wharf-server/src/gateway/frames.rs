//! [`Frames`]: where the frames of a WebSocket end that go by (RFC 6455 5.2).

/// Where the frames end that one side sends, and whether it has said Close.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frames {
    head: [u8; 2],
    have: u8,
    /// Bytes of the frame's length that are still to come, and their value so far.
    length_left: u8,
    length: u64,
    /// Bytes of mask and payload that are still to come.
    left: u64,
    closed: bool,
}

const CLOSE: u8 = 0x8;
const MASKED: u8 = 0x80;

impl Frames {
    /// These bytes go by.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let passed = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                self.left -= passed as u64;
                bytes = &bytes[passed..];
                continue;
            }
            self.head_byte(*first);
            bytes = rest;
        }
    }

    /// Whether a frame could begin here.
    pub(super) fn is_at_boundary(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Whether the last frame is a Close.
    pub(super) fn is_closed(&self) -> bool {
        self.closed && self.is_at_boundary()
    }

    fn head_byte(&mut self, byte: u8) {
        match self.have {
            0 => {
                self.head[0] = byte;
                self.have = 1;
                return;
            }
            1 => {
                self.head[1] = byte;
                self.have = 2;
                (self.length, self.length_left) = match byte & !MASKED {
                    126 => (0, 2),
                    127 => (0, 8),
                    length => (u64::from(length), 0),
                };
            }
            _ => {
                self.length = self.length << 8 | u64::from(byte);
                self.length_left -= 1;
            }
        }
        if self.length_left == 0 {
            let mask = if self.head[1] & MASKED == 0 { 0 } else { 4 };
            self.left = self.length.saturating_add(mask);
            self.closed = self.head[0] & 0x0f == CLOSE;
            self.have = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(bytes: &[u8]) -> Frames {
        let mut whole = Frames::default();
        whole.pass(bytes);
        let mut cut = Frames::default();
        for byte in bytes {
            cut.pass(&[*byte]);
        }
        assert_eq!(
            (whole.is_at_boundary(), whole.is_closed()),
            (cut.is_at_boundary(), cut.is_closed())
        );
        whole
    }

    #[test]
    fn frames_of_every_length_end_where_they_end() {
        let long = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![7; 65536]].concat();
        let medium = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
        for whole in [
            &b"\x81\x05hello"[..],
            b"\x81\x00",
            b"\x81\x82mask12",
            &medium,
            &long,
        ] {
            assert!(passed(whole).is_at_boundary());
            assert!(!passed(&whole[..whole.len() - 1]).is_at_boundary());
            let two = [whole, whole].concat();
            assert!(passed(&two).is_at_boundary());
        }
        assert!(passed(b"").is_at_boundary());
    }

    #[test]
    fn a_close_is_known_when_all_of_it_has_gone_by() {
        assert!(passed(b"\x81\x01a\x88\x02\x03\xe8").is_closed());
        assert!(!passed(b"\x88\x02\x03").is_closed());
        assert!(!passed(b"\x88\x00\x81\x01a").is_closed());
    }
}
