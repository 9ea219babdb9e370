//! [`Kind`]: what is spoken on a stream.

use std::sync::Arc;
use std::time::Duration;

use h2::ext::Protocol;
use http::{Request, Response, StatusCode};

use super::settings::{CallLimits, Settings};
use super::stream::Stream;
use crate::body::RequestBody;
use crate::flight::Link;
use crate::grpc::{self, Call, Code};

/// What is spoken on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request and an answer.
    Request,
    /// A gRPC call.
    Call,
    /// What is to become a WebSocket session (RFC 8441).
    Session,
}

impl Kind {
    /// What is spoken on a stream with this head.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let protocol = request.extensions().get::<Protocol>();
        if protocol.is_some_and(|it| it.as_str().eq_ignore_ascii_case("websocket")) {
            Self::Session
        } else if grpc::is_call(request) {
            Self::Call
        } else {
            Self::Request
        }
    }

    /// Whether the minimum rates apply, and the largest body: the messages of a call may be far apart
    /// and many.
    pub(super) fn is_paced(self) -> bool {
        self == Self::Request
    }

    /// Puts into a request, and into what is known of its stream, what this kind of it needs. Returns
    /// how long its caller waits, if that is known.
    pub(super) fn prepare(
        self,
        request: &mut Request<RequestBody>,
        settings: &Settings,
        link: &Link,
        stream: &Arc<Stream>,
    ) -> Option<Duration> {
        if self == Self::Request {
            return None;
        }
        let limits = CallLimits::of_call(settings, &link.pool, &link.shared.pools);
        let call = Call::new(limits.messages, Some(link.shared.calls.clone()));
        let asked = grpc::timeout::asked(request.headers()).ok().flatten();
        let allowed = grpc::timeout::allowed(asked, limits.longest);
        stream.is_call(call.clone(), allowed, link.shared.clock.now());
        request.extensions_mut().insert(call);
        asked
    }

    /// The answer to a request that no handler answers.
    pub(crate) fn refusal<B>(self, status: StatusCode) -> Response<Option<B>> {
        if self == Self::Call {
            return status_of(status).refusal(None);
        }
        let mut answer = Response::new(None);
        *answer.status_mut() = status;
        answer
    }
}

/// What a call is told in place of this status.
fn status_of(status: StatusCode) -> grpc::Status {
    let (code, message) = match status {
        StatusCode::GATEWAY_TIMEOUT => (Code::DeadlineExceeded, "the handler took too long"),
        StatusCode::SERVICE_UNAVAILABLE => (Code::Unavailable, "server at capacity"),
        StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::URI_TOO_LONG
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            (Code::ResourceExhausted, "the request is too large")
        }
        StatusCode::INTERNAL_SERVER_ERROR => (Code::Internal, "the handler failed"),
        _ => (Code::InvalidArgument, "malformed request"),
    };
    grpc::Status::new(code, message)
}
