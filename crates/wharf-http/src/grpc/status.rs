//! [`Status`]: what a call is told that no handler answers.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response};

use super::code::Code;

pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// The longest message that is sent, before it is encoded: it travels among the headers, for which
/// the other end has a limit too.
const LONGEST_MESSAGE: usize = 1024;

/// A code, a message for people, and when to try again: how a call ends that no handler answers.
///
/// As an error of a service it is what the call is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    code: Code,
    message: Cow<'static, str>,
    pushback: Option<Duration>,
}

impl Status {
    /// A status of this code. Of the message at most the first 1024 bytes are sent.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            pushback: None,
        }
    }

    /// Asks the caller to wait so long before it tries again.
    #[must_use]
    pub fn retry_after(mut self, pushback: Duration) -> Self {
        self.pushback = Some(pushback);
        self
    }

    /// The code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The trailers that end an answer which has begun.
    pub fn trailers(&self) -> HeaderMap {
        let mut fields = HeaderMap::with_capacity(4);
        fields.insert(GRPC_STATUS, self.code.header_value());
        if !self.message.is_empty() {
            fields.insert(GRPC_MESSAGE, encoded(&self.message));
        }
        if let Some(pushback) = self.pushback {
            // The gRPC libraries read it as a 32-bit number.
            let millis = i32::try_from(pushback.as_millis()).unwrap_or(i32::MAX);
            fields.insert(GRPC_RETRY_PUSHBACK, millis.into());
        }
        fields
    }

    /// The whole answer: one head that is trailers only. `empty` is a body without anything.
    pub fn refusal<B>(&self, empty: B) -> Response<B> {
        let mut response = Response::new(empty);
        *response.headers_mut() = self.trailers();
        let kind = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    /// What a service's error says to its caller: the status that it is or is caused by, else that
    /// the service is broken. The rest of an error is for the log and not for the caller.
    pub(super) fn of_error(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        causes
            .find_map(|cause| cause.downcast_ref::<Self>().cloned())
            .unwrap_or_else(|| Self::new(Code::Internal, "the service failed"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())?;
        if self.message.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Status {}

/// `grpc-message`: its printable ASCII as it is, but for `%`; the rest of its UTF-8 as `%XX`.
fn encoded(message: &str) -> HeaderValue {
    let message = &message[..message.floor_char_boundary(LONGEST_MESSAGE)];
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | ..b' ' | 0x7f.. => {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
            _ => text.push(char::from(byte)),
        }
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the specification asks of a reader.
    fn decoded(value: &HeaderValue) -> Vec<u8> {
        let mut bytes = value.as_bytes().iter().copied();
        let mut text = Vec::new();
        while let Some(byte) = bytes.next() {
            assert!((0x20..=0x7e).contains(&byte), "not to be sent as it is");
            if byte == b'%' {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap().to_owned();
                text.push(u8::from_str_radix(&digits, 16).unwrap());
            } else {
                text.push(byte);
            }
        }
        text
    }

    #[test]
    fn a_message_of_printable_ascii_is_sent_as_it_is() {
        assert_eq!(encoded("not now, sorry: ~"), "not now, sorry: ~");
    }

    #[test]
    fn the_rest_is_percent_encoded() {
        assert_eq!(encoded("100 %\r\nü\u{7f}"), "100 %25%0D%0A%C3%BC%7F");
        assert_eq!(encoded("很忙"), "%E5%BE%88%E5%BF%99");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_message_is_read_back(message in any::<String>()) {
            prop_assume!(message.len() <= LONGEST_MESSAGE);
            prop_assert_eq!(decoded(&encoded(&message)), message.into_bytes());
        }

        #[test]
        fn a_long_message_is_cut_between_characters(message in "[aü很🦀]{400,900}") {
            let read = String::from_utf8(decoded(&encoded(&message))).unwrap();
            prop_assert!(message.starts_with(&read));
            prop_assert!(read.len() <= LONGEST_MESSAGE);
            prop_assert!(message.len() == read.len() || read.len() + 4 > LONGEST_MESSAGE);
        }
    }

    #[test]
    fn a_refusal_is_trailers_only() {
        let status = Status::new(Code::Unavailable, "full").retry_after(Duration::from_millis(250));
        let response = status.refusal(());
        assert_eq!(response.status(), http::StatusCode::OK);
        let said = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(said("content-type"), "application/grpc");
        assert_eq!(said("grpc-status"), "14");
        assert_eq!(said("grpc-message"), "full");
        assert_eq!(said("grpc-retry-pushback-ms"), "250");
        assert_eq!(response.headers().len(), 4);
    }

    #[test]
    fn without_a_message_there_is_no_field_for_one() {
        let trailers = Status::new(Code::Internal, "").trailers();
        assert_eq!(trailers.len(), 1);
    }

    #[test]
    fn an_error_says_to_the_caller_only_what_is_meant_for_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("the password of the database is 1234")]
        struct Secret(#[source] Option<Status>);

        let busy = Status::new(Code::ResourceExhausted, "busy");
        assert_eq!(Status::of_error(&Secret(Some(busy.clone()))), busy);
        let status = Status::of_error(&Secret(None));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("1234"));
    }
}
