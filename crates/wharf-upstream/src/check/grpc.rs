//! `grpc.health.v1.Health/Check`: the question and the answer, each a message of one field.

use bytes::{BufMut, Bytes, BytesMut};
use http::Uri;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};

use crate::policy::ServiceName;

pub(super) fn path() -> Uri {
    Uri::from_static("/grpc.health.v1.Health/Check")
}

pub(super) fn fields() -> [(HeaderName, HeaderValue); 2] {
    [
        (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
        (TE, HeaderValue::from_static("trailers")),
    ]
}

/// `HealthCheckRequest`: field 1 is the service, a string; left out, the server as a whole.
pub(super) fn question(service: Option<&ServiceName>) -> Bytes {
    let service = service.map_or("", ServiceName::as_str);
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(1 << 3 | 2);
        // One byte of length: names are shorter than 128.
        message.put_u8(u8::try_from(service.len()).unwrap_or(0));
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(0));
    framed.put(message);
    framed.freeze()
}

/// Whether a framed `HealthCheckResponse` says SERVING: field 1 is the status, and 1 is that.
pub(super) fn says_serving(framed: &[u8]) -> bool {
    framed == [0, 0, 0, 0, 2, 1 << 3, 1]
}

#[cfg(test)]
mod tests {
    use wharf_pool::config::{Setting, Value};

    use super::*;

    #[test]
    fn the_question_is_the_message_that_protobuf_makes() {
        assert_eq!(&question(None)[..], b"\0\0\0\0\0");
        let service = ServiceName::read(&Value::text("a.B")).unwrap();
        assert_eq!(&question(Some(&service))[..], b"\0\0\0\0\x05\x0a\x03a.B");
    }

    #[test]
    fn only_serving_is_well() {
        assert!(says_serving(b"\0\0\0\0\x02\x08\x01"));
        for other in [
            &b"\0\0\0\0\x02\x08\x02"[..],
            b"\0\0\0\0\0",
            b"",
            b"\x01\0\0\0\x02\x08\x01",
        ] {
            assert!(!says_serving(other), "{other:?}");
        }
    }
}
