//! [`Code`]: how a call ended, in gRPC's seventeen words.

use http::header::HeaderValue;
use http::{HeaderMap, StatusCode};
use wharf_pool::Outcome;

use super::status::GRPC_STATUS;

/// How a call ended. The set, its numbers and its names are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the set is the protocol's")]
pub enum Code {
    /// 0: as it should.
    Ok,
    /// 1: the caller gave it up.
    Cancelled,
    /// 2: nobody said how.
    Unknown,
    /// 3: the arguments are wrong, whatever the state of the service.
    InvalidArgument,
    /// 4: it took longer than it may.
    DeadlineExceeded,
    /// 5: what was asked for is not there.
    NotFound,
    /// 6: what was to be made is there already.
    AlreadyExists,
    /// 7: this caller may not.
    PermissionDenied,
    /// 8: something is used up, or a message is too long.
    ResourceExhausted,
    /// 9: the state of the service forbids it.
    FailedPrecondition,
    /// 10: another call came in between.
    Aborted,
    /// 11: past what there is.
    OutOfRange,
    /// 12: there is no such method.
    Unimplemented,
    /// 13: the service is broken.
    Internal,
    /// 14: not now; the call may be tried again.
    Unavailable,
    /// 15: data is lost.
    DataLoss,
    /// 16: who calls has not said who it is.
    Unauthenticated,
}

impl Code {
    /// Every code, each at its number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The protocol's name: the value of the label `grpc_status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// What trailers, or the head of an answer that is trailers only, say; `None` if they say
    /// nothing. What is not one of the numbers is [`Code::Unknown`].
    pub fn of(fields: &HeaderMap) -> Option<Self> {
        let value = fields.get(GRPC_STATUS)?.as_bytes();
        let code = Self::ALL
            .into_iter()
            .find(|code| code.digits().as_bytes() == value);
        Some(code.unwrap_or(Self::Unknown))
    }

    /// What a client takes an answer for that says nothing but an HTTP status.
    pub const fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::Unimplemented,
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// What it counts as beside requests of other protocols: a server's error is what the service
    /// is to blame for. A method that does not exist is asked for by the caller.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Ok => Outcome::Success,
            Self::Cancelled => Outcome::Cancelled,
            Self::Unknown
            | Self::DeadlineExceeded
            | Self::Internal
            | Self::Unavailable
            | Self::DataLoss => Outcome::ServerError,
            Self::InvalidArgument
            | Self::NotFound
            | Self::AlreadyExists
            | Self::PermissionDenied
            | Self::ResourceExhausted
            | Self::FailedPrecondition
            | Self::Aborted
            | Self::OutOfRange
            | Self::Unimplemented
            | Self::Unauthenticated => Outcome::ClientError,
        }
    }

    pub(super) const fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.digits())
    }

    const fn digits(self) -> &'static str {
        const DIGITS: [&str; 17] = [
            "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15",
            "16",
        ];
        DIGITS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &str) -> Option<Code> {
        let mut fields = HeaderMap::new();
        fields.insert(GRPC_STATUS, value.parse().unwrap());
        Code::of(&fields)
    }

    #[test]
    fn each_code_is_read_back_from_its_number() {
        for (number, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(code.number()), number);
            assert_eq!(said(&number.to_string()), Some(code));
        }
    }

    #[test]
    fn what_is_no_number_of_a_code_is_unknown() {
        for value in [
            "", "17", "-1", "+1", "00", "01", " 0", "0 ", "OK", "0x0", "255", "256",
        ] {
            assert_eq!(said(value), Some(Code::Unknown), "{value:?}");
        }
    }

    #[test]
    fn fields_without_a_status_say_nothing() {
        assert_eq!(Code::of(&HeaderMap::new()), None);
    }

    #[test]
    fn a_caller_cannot_make_the_service_look_broken_by_asking_for_what_is_not_there() {
        assert_eq!(Code::Unimplemented.outcome(), Outcome::ClientError);
    }
}
