//! [`FrameHeader`]: the nine bytes that every frame begins with (RFC 9113 4.1).

/// What a client's bytes begin with (RFC 9113 3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a [`FrameHeader`].
pub(crate) const HEADER: usize = 9;

/// The same, to count with.
pub(crate) const HEADER_BYTES: u32 = 9;

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes of payload, at most 2^24 - 1.
    pub(crate) length: u32,
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    /// The stream, without the reserved bit; 0 is the connection.
    pub(crate) stream: u32,
}

impl FrameHeader {
    /// DATA and HEADERS: the sender sends nothing more on the stream.
    pub(crate) const END_STREAM: u8 = 0x1;
    /// PING and SETTINGS: an answer.
    pub(crate) const ACK: u8 = 0x1;
    /// HEADERS and CONTINUATION: the header block is complete.
    pub(crate) const END_HEADERS: u8 = 0x4;
    /// DATA and HEADERS: the first byte of the payload says how much of its end is padding.
    pub(crate) const PADDED: u8 = 0x8;
    /// HEADERS: five bytes of priority precede the header block.
    pub(crate) const PRIORITY: u8 = 0x20;

    /// Reads a header; every nine bytes are one.
    pub(crate) const fn parse(bytes: &[u8; HEADER]) -> Self {
        Self {
            length: u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]),
            kind: Kind::of(bytes[3]),
            flags: bytes[4],
            stream: u32::from_be_bytes([bytes[5] & 0x7f, bytes[6], bytes[7], bytes[8]]),
        }
    }

    /// Whether a flag is set.
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The type of a frame (RFC 9113 6, RFC 9218 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Data,
    Headers,
    Priority,
    Reset,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    PriorityUpdate,
    Unknown(u8),
}

impl Kind {
    const fn of(code: u8) -> Self {
        match code {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x2 => Self::Priority,
            0x3 => Self::Reset,
            0x4 => Self::Settings,
            0x5 => Self::PushPromise,
            0x6 => Self::Ping,
            0x7 => Self::GoAway,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            0x10 => Self::PriorityUpdate,
            code => Self::Unknown(code),
        }
    }
}

/// Why a stream or a connection ends (RFC 9113 7); a peer may send any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ErrorCode(pub(crate) u32);

impl ErrorCode {
    pub(crate) const PROTOCOL_ERROR: Self = Self(0x1);
    pub(crate) const FLOW_CONTROL_ERROR: Self = Self(0x3);
    pub(crate) const STREAM_CLOSED: Self = Self(0x5);
    pub(crate) const FRAME_SIZE_ERROR: Self = Self(0x6);
    pub(crate) const REFUSED_STREAM: Self = Self(0x7);
}

#[cfg(test)]
mod tests {
    use super::{FrameHeader, HEADER, Kind};

    #[test]
    fn the_parts_of_a_header_are_where_the_specification_has_them() {
        let bytes: [u8; HEADER] = [1, 2, 3, 9, 0x2d, 0x7f, 5, 6, 7];
        let header = FrameHeader::parse(&bytes);
        assert_eq!((header.length, header.stream), (0x01_02_03, 0x7f05_0607));
        assert_eq!((header.kind, header.flags), (Kind::Continuation, 0x2d));
    }

    #[test]
    fn the_reserved_bit_is_not_part_of_the_stream() {
        let bytes: [u8; HEADER] = [0, 0, 0, 0, 0, 0x80, 0, 0, 1];
        assert_eq!(FrameHeader::parse(&bytes).stream, 1);
    }
}
