//! [`WebSocketRejection`]: a request that gets no session.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};

use super::no_body::NoBody;

/// The request asks for no session, or its listener has none: it serves no `websocket`, or is not
/// wharf's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request asks for no WebSocket session that can be had here")]
#[non_exhaustive]
pub struct WebSocketRejection;

impl WebSocketRejection {
    pub(super) const fn new() -> Self {
        Self
    }

    /// What the client is told: 426, and what to ask for instead (RFC 9110 15.5.22).
    pub fn response(self) -> Response<NoBody> {
        let mut response = Response::new(NoBody);
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        let fields = response.headers_mut();
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
        response
    }
}
