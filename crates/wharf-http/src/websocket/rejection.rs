//! [`WebSocketRejection`]: a request that gets no session.

use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::no_body::NoBody;

/// Why a request gets no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketRejection {
    /// It asks for none.
    #[error("the request asks for no WebSocket session")]
    NotAsked,
    /// Its listener serves no `websocket`, or is not wharf's, or its session has been taken already.
    #[error("there is no WebSocket session to be had here")]
    NoneHere,
}

impl WebSocketRejection {
    pub(super) fn of(fields: &HeaderMap) -> Self {
        if fields.contains_key(SEC_WEBSOCKET_KEY) {
            Self::NoneHere
        } else {
            Self::NotAsked
        }
    }

    /// What the client is told: 400, or 426 with what to ask for instead (RFC 9110 15.5.22).
    pub fn response(self) -> Response<NoBody> {
        let mut response = Response::new(NoBody);
        if self == Self::NoneHere {
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return response;
        }
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        let fields = response.headers_mut();
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
        response
    }
}
