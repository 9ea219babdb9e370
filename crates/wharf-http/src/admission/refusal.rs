//! [`Refused`]: what those are told who do not get in.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use wharf_control::spread;

use crate::grpc::{Code, Status, is_call};

/// There was no place for a request. It was not begun, so it may be sent again.
///
/// An answer that says so has this as an extension. On HTTP/1 it is 503, on HTTP/2 `REFUSED_STREAM` (RFC 9113 8.7), for a gRPC call UNAVAILABLE
/// with `grpc-retry-pushback-ms`, for what would become a WebSocket session 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("server at capacity")]
pub struct Refused {
    why: Why,
    retry_after: Duration,
}

/// Why there was no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// The line was full of those as important.
    Full,
    /// Somebody more important took the place in line.
    Displaced,
    /// None was free in time.
    Late,
}

impl Why {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Full, Self::Displaced, Self::Late];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Displaced => "displaced",
            Self::Late => "late",
        }
    }
}

impl Refused {
    /// `seed` spreads the times to come back: those who were refused together are not to come back together.
    pub(super) fn new(why: Why, seed: u64) -> Self {
        let retry_after = Duration::from_secs(1) + Duration::from_secs(2).mul_f64(spread(seed, 0));
        Self { why, retry_after }
    }

    /// Why.
    pub const fn why(self) -> Why {
        self.why
    }

    /// When to ask again: in one to three seconds.
    pub const fn retry_after(self) -> Duration {
        self.retry_after
    }

    /// Whether this answer says so.
    pub(crate) fn is_said_by<B>(answer: &Response<B>) -> bool {
        answer.extensions().get::<Self>().is_some()
    }

    /// Whether the stream of this answer is to be reset in place of it.
    pub(crate) fn is_better_reset<B>(answer: &Response<B>) -> bool {
        answer.extensions().get::<ToReset>().is_some()
    }

    /// The answer.
    pub(super) fn answer<B>(self, asked: Asked, empty: B) -> Response<B> {
        let mut answer = match asked {
            Asked::Call => Status::new(Code::Unavailable, "server at capacity")
                .retry_after(self.retry_after)
                .refusal(empty),
            Asked::Request | Asked::Stream => {
                let mut answer = Response::new(empty);
                *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                let seconds = match self.retry_after.as_millis() {
                    ..1_500 => "1",
                    1_500..2_500 => "2",
                    _ => "3",
                };
                let seconds = HeaderValue::from_static(seconds);
                answer.headers_mut().insert(RETRY_AFTER, seconds);
                answer
            }
        };
        if let Asked::Stream = asked {
            answer.extensions_mut().insert(ToReset);
        }
        answer.extensions_mut().insert(self);
        answer
    }
}

/// What was asked, as far as the answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A request of HTTP/1, or for a session.
    Request,
    /// A request of HTTP/2.
    Stream,
    /// A gRPC call.
    Call,
}

impl Asked {
    pub(super) fn by<B>(request: &Request<B>) -> Self {
        if is_call(request) {
            Self::Call
        } else if request.version() == Version::HTTP_2
            && request.extensions().get::<h2::ext::Protocol>().is_none()
        {
            Self::Stream
        } else {
            Self::Request
        }
    }
}

/// On an answer that is better not sent: the stream is reset, with the code that says that nothing was done.
#[derive(Clone, Copy, Debug)]
struct ToReset;
