//! [`Replay`]: a request that can be sent again.

use http::{Method, Request};
use http_body::Body;

use crate::body::SendBody;
use crate::endpoint::Stale;
use crate::error::SendError;
use crate::options::{Retry, SendOptions};

/// A request without a body, as it was before it was given to a codec; `None` if it has one.
pub(crate) struct Replay(Option<Box<Request<()>>>);

impl Replay {
    pub(crate) fn of(request: &Request<SendBody>) -> Self {
        if !request.body().is_end_stream() {
            return Self(None);
        }
        let mut copy = Request::new(());
        copy.method_mut().clone_from(request.method());
        copy.uri_mut().clone_from(request.uri());
        copy.headers_mut().clone_from(request.headers());
        copy.extensions_mut().clone_from(request.extensions());
        Self(Some(Box::new(copy)))
    }

    /// The request.
    pub(crate) fn copy(self) -> Option<Request<SendBody>> {
        self.0.map(|it| it.map(|()| SendBody::default()))
    }

    /// The request, if it may be sent again after that error. `stale`: on a connection that had been used
    /// before, and so may have been closed by an endpoint that never saw the request (RFC 9110 9.2.2).
    pub(crate) fn for_retry(
        self,
        error: &SendError,
        options: &SendOptions,
        stale: Stale,
    ) -> Option<Request<SendBody>> {
        let request = self.0?;
        let repeatable = stale == Stale::Yes || options.retry == Retry::Idempotent;
        let broken = matches!(error, SendError::Broken { .. });
        let safe =
            error.nothing_was_sent() || (broken && repeatable && is_idempotent(request.method()));
        safe.then(|| request.map(|()| SendBody::default()))
    }
}

/// RFC 9110 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
        Method::PUT,
        Method::DELETE,
    ]
    .contains(method)
}
