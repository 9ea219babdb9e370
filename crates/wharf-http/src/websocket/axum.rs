//! The extractor for axum.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use super::rejection::WebSocketRejection;
use super::upgrade::WebSocketUpgrade;

impl<S: Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = WebSocketRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, WebSocketRejection> {
        Self::take(&parts.headers, &mut parts.extensions)
    }
}

impl IntoResponse for WebSocketRejection {
    fn into_response(self) -> Response {
        self.response().into_response()
    }
}
