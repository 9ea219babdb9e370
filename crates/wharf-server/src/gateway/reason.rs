//! [`Reason`]: why wharf answers a request itself that was for an upstream.

use std::time::Duration;

use axum::body::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use wharf_http::grpc::{Code, Status};
use wharf_upstream::{ConnectError, SendError};

/// The field that says the reason, where `server.reason_header` is on.
const REASON: HeaderName = HeaderName::from_static("x-wharf-reason");

/// How long callers are asked to wait where waiting helps.
const LATER: Duration = Duration::from_secs(1);

/// Declares the reasons: the word, the status of an answer, the code of a call's, and a sentence.
macro_rules! reasons {
    ($($(#[$inner:meta])* $variant:ident = $word:literal, $status:ident, $code:ident, $text:literal;)+) => {
        /// Why wharf answers a request itself that was for an upstream.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Reason { $($(#[$inner])* $variant,)+ }

        impl Reason {
            /// Every one.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word in the header and in logs.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The status of the answer.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// The code of a gRPC call that ends so.
            pub(crate) const fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code,)+ }
            }

            /// A sentence for people.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

reasons! {
    /// No endpoint may be asked.
    NoEndpoint = "no_endpoint", SERVICE_UNAVAILABLE, Unavailable, "no endpoint is available";
    /// The upstream is leaving the configuration.
    Closed = "closed", SERVICE_UNAVAILABLE, Unavailable, "the upstream is closed";
    /// Nobody listens there.
    ConnectRefused = "connect_refused", BAD_GATEWAY, Unavailable, "the upstream refuses connections";
    /// Nobody answered the connect in time.
    ConnectTimeout = "connect_timeout", GATEWAY_TIMEOUT, Unavailable, "the upstream cannot be reached in time";
    /// The network has failed.
    ConnectFailed = "connect_failed", BAD_GATEWAY, Unavailable, "the upstream cannot be reached";
    /// Its name stands for no address.
    ResolveFailed = "resolve_failed", BAD_GATEWAY, Unavailable, "the upstream has no address";
    /// It has shown no certificate that is trusted, or wants another of ours.
    TlsFailed = "tls_failed", BAD_GATEWAY, Unavailable, "the upstream cannot be trusted";
    /// There may be no more connections.
    ConnectionLimit = "connection_limit", SERVICE_UNAVAILABLE, Unavailable, "no more connections may be made";
    /// Too many requests wait for a connection.
    TooManyWaiting = "too_many_waiting", SERVICE_UNAVAILABLE, Unavailable, "too many requests wait";
    /// No connection came free in time.
    WaitTimeout = "wait_timeout", SERVICE_UNAVAILABLE, Unavailable, "no connection came free in time";
    /// More wait than can be answered.
    Shed = "shed", SERVICE_UNAVAILABLE, Unavailable, "too many requests wait";
    /// There may be no more sessions.
    TooManySessions = "too_many_sessions", SERVICE_UNAVAILABLE, Unavailable, "no more sessions may be opened";
    /// The time that a caller has given is over.
    Deadline = "deadline", GATEWAY_TIMEOUT, DeadlineExceeded, "the time for the request is over";
    /// The answer did not come in time.
    ResponseTimeout = "response_timeout", GATEWAY_TIMEOUT, DeadlineExceeded, "the upstream did not answer in time";
    /// The body was not taken in time.
    SendTimeout = "send_timeout", GATEWAY_TIMEOUT, Unavailable, "the upstream takes nothing of the request";
    /// The connection ended before the request was sent.
    Unsent = "unsent", BAD_GATEWAY, Unavailable, "the upstream closed the connection";
    /// The connection ended before the answer.
    Broken = "broken", BAD_GATEWAY, Unavailable, "the upstream closed the connection";
    /// What came is no answer.
    Malformed = "malformed", BAD_GATEWAY, Unavailable, "the upstream's answer is malformed";
    /// It was asked for a session and has opened none, or not the one that was asked for.
    NoSession = "no_session", BAD_GATEWAY, Unavailable, "the upstream opened no session";
    /// The client did not send its request whole.
    RequestBody = "request_body", BAD_REQUEST, Cancelled, "the request did not come whole";
    /// The body is larger than the route allows.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, ResourceExhausted, "the request body is too large";
    /// The path has `.` or `..` among its segments.
    AmbiguousPath = "ambiguous_path", BAD_REQUEST, InvalidArgument, "the path has dot segments";
    /// It cannot be said to an upstream.
    BadRequest = "bad_request", BAD_REQUEST, InvalidArgument, "the request cannot be forwarded";
    /// The request has passed too many gateways.
    Circle = "loop", LOOP_DETECTED, Internal, "the request goes round in a circle";
    /// TRACE would show what wharf adds, and CONNECT is no request.
    Method = "method", METHOD_NOT_ALLOWED, Unimplemented, "the method is not forwarded";
}

/// Whether answers say their reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// In `x-wharf-reason`.
    Reason,
    /// Not at all.
    Nothing,
}

impl Reason {
    /// What an upstream's failure is.
    pub(super) fn of(error: &SendError) -> Self {
        match error {
            SendError::NoEndpoint => Self::NoEndpoint,
            SendError::Closed => Self::Closed,
            SendError::Connect { source, .. } => match source {
                ConnectError::Resolve(_) => Self::ResolveFailed,
                ConnectError::Refused(_) => Self::ConnectRefused,
                ConnectError::Timeout(_) => Self::ConnectTimeout,
                ConnectError::Tls(_) => Self::TlsFailed,
                ConnectError::Limit => Self::ConnectionLimit,
                ConnectError::Failed(_) | ConnectError::Codec(_) | _ => Self::ConnectFailed,
            },
            SendError::TooManyWaiting { .. } => Self::TooManyWaiting,
            SendError::WaitTimeout { .. } => Self::WaitTimeout,
            SendError::Shed { .. } => Self::Shed,
            SendError::TooManySessions { .. } => Self::TooManySessions,
            SendError::DeadlineExceeded { .. } => Self::Deadline,
            SendError::ResponseTimeout { .. } => Self::ResponseTimeout,
            SendError::SendTimeout { .. } => Self::SendTimeout,
            SendError::Unsent { .. } => Self::Unsent,
            SendError::Malformed { .. } => Self::Malformed,
            SendError::RequestBody { .. } => Self::RequestBody,
            SendError::BadRequest { .. } => Self::BadRequest,
            SendError::Broken { .. } | _ => Self::Broken,
        }
    }

    /// The answer to a request.
    pub(super) fn response(self, telling: Telling) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::from_static(self.text().as_bytes()));
        *answer.status_mut() = self.status();
        let fields = answer.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        fields.insert(CONTENT_TYPE, text);
        if self.is_passing() {
            fields.insert(RETRY_AFTER, HeaderValue::from(LATER.as_secs()));
        }
        if telling == Telling::Reason {
            fields.insert(REASON, HeaderValue::from_static(self.as_str()));
        }
        answer
    }

    /// The answer to a gRPC call: trailers only.
    pub(super) fn refusal(self, telling: Telling) -> Response<()> {
        let status = Status::new(self.code(), self.text());
        let status = if self.is_passing() {
            status.retry_after(LATER)
        } else {
            status
        };
        let mut answer = status.refusal(());
        if telling == Telling::Reason {
            let word = HeaderValue::from_static(self.as_str());
            answer.headers_mut().insert(REASON, word);
        }
        answer
    }

    /// Whether the same request may well succeed a little later.
    const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::NoEndpoint
                | Self::Closed
                | Self::ConnectionLimit
                | Self::TooManyWaiting
                | Self::WaitTimeout
                | Self::Shed
                | Self::TooManySessions
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_an_error_with_a_word_of_its_own() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let answer = reason.response(Telling::Reason);
            assert!(answer.status().as_u16() >= 400);
            assert_eq!(answer.headers()["x-wharf-reason"], reason.as_str());
            assert_ne!(reason.code(), Code::Ok);
        }
    }

    #[test]
    fn who_asks_again_later_is_told_when() {
        let full = Reason::TooManyWaiting.response(Telling::Nothing);
        assert_eq!(full.status(), 503);
        assert_eq!(full.headers()["retry-after"], "1");
        assert!(!full.headers().contains_key("x-wharf-reason"));
        let broken = Reason::Broken.response(Telling::Nothing);
        assert!(!broken.headers().contains_key("retry-after"));
        let call = Reason::NoEndpoint.refusal(Telling::Reason);
        assert_eq!(call.headers()["grpc-status"], "14");
        assert_eq!(call.headers()["x-wharf-reason"], "no_endpoint");
        assert_eq!(call.headers()["grpc-retry-pushback-ms"], "1000");
    }
}
