//! The head of an upstream's answer, as the client is to have it.

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::response::Parts;
use http::{Method, StatusCode, Version};

use super::fields::end_here;
use super::origin::pass;
use crate::config::Forward;

/// Makes of an upstream's head the one that goes to a client.
///
/// How long the body is, the codec says from the body itself; only where there is none is the length that
/// the upstream tells kept: it is that of another answer (RFC 9110 8.6).
pub(super) fn answered(head: &mut Parts, method: &Method, forward: &Forward) {
    let bodiless = *method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
    let length = if bodiless {
        length_of(&head.headers)
    } else {
        None
    };
    end_here(&mut head.headers);
    if let Some(length) = length {
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let received = head.version;
    pass(&mut head.headers, received);
    forward.response_fields.change(&mut head.headers);
    // The codec of the client's connection says its own.
    head.version = Version::HTTP_11;
}

/// The one length that it tells, if it tells one.
fn length_of(fields: &HeaderMap) -> Option<u64> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let (first, None) = (lengths.next()?, lengths.next()) else {
        return None;
    };
    let digits = first.to_str().ok()?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Response;

    use super::*;
    use crate::config::FieldChanges;

    fn told(answer: http::response::Builder, method: &Method, forward: &Forward) -> HeaderMap {
        let mut head = answer.body(()).unwrap().into_parts().0;
        answered(&mut head, method, forward);
        head.headers
    }

    #[test]
    fn an_answer_goes_on_without_what_was_about_its_connection() {
        let answer = Response::builder()
            .header("connection", "close, x-private")
            .header("x-private", "1")
            .header("keep-alive", "timeout=5")
            .header("transfer-encoding", "chunked")
            .header("content-length", "5")
            .header("x-wharf-reason", "forged")
            .header("trailer", "checksum")
            .header("server", "s");
        let fields = told(answer, &Method::GET, &Forward::to("api"));
        let mut names: Vec<_> = fields.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["server", "trailer", "via"]);
        assert_eq!(fields["via"], "1.1 wharf");
    }

    #[test]
    fn the_length_of_a_body_that_is_not_there_is_kept_if_it_is_one() {
        let kept = |method: Method, status: u16, lengths: &[&str]| {
            let mut answer = Response::builder().status(status);
            for length in lengths {
                answer = answer.header("content-length", *length);
            }
            let fields = told(answer, &method, &Forward::to("api"));
            fields
                .get("content-length")
                .map(|it| it.to_str().unwrap().to_owned())
        };
        assert_eq!(kept(Method::HEAD, 200, &["5"]).as_deref(), Some("5"));
        assert_eq!(kept(Method::GET, 304, &["5"]).as_deref(), Some("5"));
        assert_eq!(kept(Method::GET, 200, &["5"]), None);
        assert_eq!(kept(Method::HEAD, 200, &["5", "6"]), None);
        for wrong in ["+5", "0x5", "5, 5", "", "99999999999999999999"] {
            assert_eq!(kept(Method::HEAD, 200, &[wrong]), None, "{wrong}");
        }
    }

    #[test]
    fn the_operators_fields_come_last() {
        let mut forward = Forward::to("api");
        forward.response_fields = Arc::new(FieldChanges {
            set: vec![("server".parse().unwrap(), "mine".parse().unwrap())],
            remove: vec!["via".parse().unwrap()],
        });
        let answer = Response::builder().header("server", "theirs");
        let fields = told(answer, &Method::GET, &forward);
        assert_eq!(fields["server"], "mine");
        assert!(!fields.contains_key("via"));
    }
}
