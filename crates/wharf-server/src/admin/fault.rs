//! Answers: JSON, and errors as RFC 9457 has them.

use std::fmt::Write;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::config::{Problem, Problems};
use crate::log::is_unsafe;

/// A JSON answer.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Value);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_static("application/json");
        with_type(harmless(self.0.to_string()), kind)
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
        (self.status, with_type(harmless(body.to_string()), kind)).into_response()
    }
}

/// The same JSON, with everything escaped that would steer a terminal or reorder what stands around it:
/// who reads answers by curl sees what peers call themselves.
fn harmless(json: String) -> String {
    // All that is below has been escaped, and most answers have nothing above.
    if json.bytes().all(|byte| byte < 0x7f) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if is_unsafe(c) {
            // None of them is beyond the 16 bits that one escape holds. Writing to a string cannot fail.
            write!(escaped, "\\u{:04x}", u32::from(c)).ok();
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn with_type(body: String, kind: HeaderValue) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_the_same_and_steers_nobody() {
        let agent = "\u{202e}gnp\u{9b}2J\u{7f}\u{61c} ä\u{1b}\"\u{1f600}";
        let told = harmless(json!({ "user_agent": agent }).to_string());
        assert!(!told.chars().any(is_unsafe), "{told}");
        let read: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(read["user_agent"], agent);
        assert!(told.contains('ä') && told.contains('\u{1f600}'));
    }
}
