//! [`MessageLimits`]: how long messages may be.

/// How long messages may be, as they are on the wire: a compressed one by its compressed length.
/// What it may become is the service's own limit, and the smaller of the two rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageLimits {
    /// `max_receive_message_length`: of each message of a request, in bytes. Default 4 MiB; `None`:
    /// as long as can be.
    pub receive: Option<u32>,
    /// `max_send_message_length`: of each message of an answer, in bytes. Default 4 MiB; `None`: as
    /// long as can be.
    pub send: Option<u32>,
}

/// What the gRPC libraries receive by default.
const DEFAULT: u32 = 4 << 20;

impl Default for MessageLimits {
    fn default() -> Self {
        Self {
            receive: Some(DEFAULT),
            send: Some(DEFAULT),
        }
    }
}

impl MessageLimits {
    /// The smaller of each.
    pub(super) fn smaller(self, other: Self) -> Self {
        let smaller = |a: Option<u32>, b: Option<u32>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            receive: smaller(self.receive, other.receive),
            send: smaller(self.send, other.send),
        }
    }
}
