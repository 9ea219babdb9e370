//! Frames as they go over the wire, right or wrong.

/// What a client says before its first frame.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The flag of DATA and HEADERS after which their stream has no more.
pub const END_STREAM: u8 = 0x1;
/// The flag of SETTINGS and PING that answer another.
pub const ACK: u8 = 0x1;
/// The flag of HEADERS and CONTINUATION with which a header block ends.
pub const END_HEADERS: u8 = 0x4;

/// The static table's number of `:method: GET`.
pub const GET: u8 = 2;
/// The static table's number of `:method: POST`.
pub const POST: u8 = 3;

/// The types of frames (RFC 9113, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Kind {
    /// DATA.
    Data = 0x0,
    /// HEADERS.
    Headers = 0x1,
    /// PRIORITY.
    Priority = 0x2,
    /// `RST_STREAM`.
    Reset = 0x3,
    /// SETTINGS.
    Settings = 0x4,
    /// PING.
    Ping = 0x6,
    /// GOAWAY.
    GoAway = 0x7,
    /// `WINDOW_UPDATE`.
    WindowUpdate = 0x8,
    /// CONTINUATION.
    Continuation = 0x9,
}

impl From<Kind> for u8 {
    fn from(kind: Kind) -> Self {
        kind as Self
    }
}

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Its type, also one that nobody knows.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// What follows its head.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Whether it is of this type.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == u8::from(kind)
    }

    /// Of GOAWAY: the last stream that is served, and the code.
    pub fn goodbye(&self) -> Option<(u32, u32)> {
        let [a, b, c, d, rest @ ..] = self.payload.first_chunk::<8>()?;
        let last = u32::from_be_bytes([*a, *b, *c, *d]);
        self.is(Kind::GoAway)
            .then(|| (last, u32::from_be_bytes(*rest)))
    }

    /// Of `RST_STREAM`: the stream and the code.
    pub fn reset(&self) -> Option<(u32, u32)> {
        let code = self.payload.first_chunk()?;
        self.is(Kind::Reset)
            .then(|| (self.stream, u32::from_be_bytes(*code)))
    }

    /// Takes a whole frame off the front of `bytes`; `None` if there is none yet.
    pub(super) fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = *bytes.first_chunk::<9>()?;
        let length = u32::from_be_bytes([0, a, b, c]);
        let end = 9 + usize::try_from(length).expect("three bytes fit");
        let payload = bytes.get(9..end)?.to_vec();
        bytes.drain(..end);
        Some(Self {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }
}

/// A frame as it is sent; `kind` may be a number that is no type.
pub fn frame(kind: impl Into<u8>, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind.into(), flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The header block of a request to the authority `t`; `method` is the static table's number of it.
pub fn block(method: u8, path: &str) -> Vec<u8> {
    let mut block = vec![0x80 | method, 0x86, 0x04];
    block.push(u8::try_from(path.len()).expect("a short path"));
    block.extend(path.as_bytes());
    block.extend(b"\x01\x01t");
    block
}
