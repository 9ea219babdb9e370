//! [`Message`]: what is said in a session.

use std::fmt;

use bytes::Bytes;

/// Text that is shared and not copied, like [`Bytes`].
pub use bytestring::ByteString as Utf8Bytes;

/// What is said in a session. Pings and Pongs are wharf's, and not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 has no others")]
pub enum Message {
    /// Text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// The client's last word, which wharf has answered, or ours; with its reason, if it gives one.
    Close(Option<CloseFrame>),
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::Binary(data)
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::Binary(data.into())
    }
}

/// Why a session is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseFrame {
    /// For programs.
    pub code: CloseCode,
    /// For people who look for a fault; what is over 123 bytes is not sent.
    pub reason: Utf8Bytes,
}

impl CloseFrame {
    /// A code and a reason, which may be empty.
    pub fn new(code: CloseCode, reason: impl Into<Utf8Bytes>) -> Self {
        let reason = reason.into();
        Self { code, reason }
    }
}

impl From<CloseCode> for CloseFrame {
    fn from(code: CloseCode) -> Self {
        Self::new(code, "")
    }
}

/// A code that may be said in a Close (RFC 6455 7.4). Those that only tell what was not said (1005,
/// 1006, 1015) are none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: what the session was for is done.
    pub const NORMAL: Self = Self(1000);
    /// 1001: we, or the page, go away.
    pub const AWAY: Self = Self(1001);
    /// 1002: a rule of the protocol was broken.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: this kind of message is not taken here.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: text that is not UTF-8, or not what it should be.
    pub const INVALID: Self = Self(1007);
    /// 1008: a rule of ours was broken.
    pub const POLICY: Self = Self(1008);
    /// 1009: the message is too large.
    pub const SIZE: Self = Self(1009);
    /// 1010: the client wants an extension that we do not have.
    pub const EXTENSION: Self = Self(1010);
    /// 1011: we have failed.
    pub const ERROR: Self = Self(1011);
    /// 1012: we begin again.
    pub const RESTART: Self = Self(1012);
    /// 1013: there is too much to do; try again later.
    pub const AGAIN: Self = Self(1013);
    /// 1014: somebody behind us has failed.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code, if it may be said: those above, and an application's own, 3000 to 4999.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}
