//! [`Violation`]: why a peer's frames are not taken any more.

use wharf_pool::CloseReason;

/// The first rule that a peer's frames break; its session ends with a Close that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// A client's frame without a mask (RFC 6455 5.1).
    NotMasked,
    /// A bit that belongs to an extension that was not agreed on (RFC 6455 5.2).
    ReservedBits,
    /// An opcode without a meaning (RFC 6455 5.2).
    ReservedOpcode,
    /// A length with its highest bit set (RFC 6455 5.2).
    LengthInvalid,
    /// A control frame with more than 125 bytes (RFC 6455 5.5).
    ControlTooLong,
    /// A control frame in fragments (RFC 6455 5.5).
    ControlFragmented,
    /// A continuation where no message has begun (RFC 6455 5.4).
    NothingToContinue,
    /// A message within the fragments of another (RFC 6455 5.4).
    MessageWithinMessage,
    /// A frame above `max_frame_size`.
    FrameTooLarge,
    /// A message above `max_message_size`.
    MessageTooLarge,
    /// A message in more than `max_fragments`.
    TooManyFragments,
    /// Pings or Pongs that come faster than anybody needs them.
    TooManyPings,
    /// Text that is not UTF-8 (RFC 6455 8.1).
    NotUtf8,
    /// A Close whose code may not be said, or is cut (RFC 6455 5.5.1, 7.4).
    CloseMalformed,
    /// The rest of a message did not come within `stream_idle_timeout`.
    MessageLate,
}

impl Violation {
    /// The code of the Close (RFC 6455 7.4.1).
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::NotMasked
            | Self::ReservedBits
            | Self::ReservedOpcode
            | Self::LengthInvalid
            | Self::ControlTooLong
            | Self::ControlFragmented
            | Self::NothingToContinue
            | Self::MessageWithinMessage
            | Self::CloseMalformed => 1002,
            Self::NotUtf8 => 1007,
            Self::TooManyFragments | Self::TooManyPings | Self::MessageLate => 1008,
            Self::FrameTooLarge | Self::MessageTooLarge => 1009,
        }
    }

    /// The reason of the connection's end.
    pub(crate) const fn reason(self) -> CloseReason {
        match self {
            Self::NotMasked
            | Self::ReservedBits
            | Self::ReservedOpcode
            | Self::LengthInvalid
            | Self::ControlTooLong
            | Self::ControlFragmented
            | Self::NothingToContinue
            | Self::MessageWithinMessage
            | Self::CloseMalformed
            | Self::NotUtf8 => CloseReason::ProtocolError,
            Self::FrameTooLarge | Self::MessageTooLarge => CloseReason::MessageTooLarge,
            Self::TooManyFragments | Self::TooManyPings => CloseReason::WebSocketAbuse,
            Self::MessageLate => CloseReason::StreamIdle,
        }
    }

    /// A few words for the Close and the log.
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::NotMasked => "a frame is not masked",
            Self::ReservedBits => "a reserved bit is set",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::LengthInvalid => "the length of a frame is no length",
            Self::ControlTooLong => "a control frame is too long",
            Self::ControlFragmented => "a control frame is fragmented",
            Self::NothingToContinue => "there is no message to continue",
            Self::MessageWithinMessage => "a message begins within another",
            Self::FrameTooLarge => "the frame is too large",
            Self::MessageTooLarge => "the message is too large",
            Self::TooManyFragments => "the message has too many fragments",
            Self::TooManyPings => "too many pings",
            Self::NotUtf8 => "the text is not UTF-8",
            Self::CloseMalformed => "the Close is malformed",
            Self::MessageLate => "the rest of the message did not come",
        }
    }
}
