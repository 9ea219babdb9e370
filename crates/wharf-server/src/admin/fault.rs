//! Answers: JSON, and errors as RFC 9457 has them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::config::{Problem, Problems};

/// A JSON answer.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Value);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        with_type(
            self.0.to_string(),
            HeaderValue::from_static("application/json"),
        )
    }
}

/// An answer that says what is wrong with the request.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    detail: String,
    errors: Vec<Value>,
}

impl Fault {
    /// A fault with one sentence.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// The same with one thing that is wrong.
    #[must_use]
    pub(super) fn error(self, key: &str, reason: &str, remedy: &str) -> Self {
        self.detailed(json!({ "key": key, "reason": reason, "remedy": remedy }))
    }

    /// The same with one thing that is wrong, as an object with at least those three.
    #[must_use]
    pub(super) fn detailed(mut self, error: Value) -> Self {
        self.errors.push(error);
        self
    }
}

impl From<Problems> for Fault {
    /// A change that was refused, with everything that is wrong with it.
    fn from(problems: Problems) -> Self {
        let fault = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing was changed");
        problems.list.iter().fold(
            fault,
            |fault,
             Problem {
                 key,
                 reason,
                 remedy,
                 ..
             }| { fault.error(key, reason, remedy) },
        )
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "errors": self.errors,
        });
        let kind = HeaderValue::from_static("application/problem+json");
        (self.status, with_type(body.to_string(), kind)).into_response()
    }
}

fn with_type(body: String, kind: HeaderValue) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}
