//! Whether a request is a gRPC call.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Version};

/// Whether `request` is a gRPC call: it comes over HTTP/2, and its content type is gRPC's. gRPC-Web
/// is not.
pub fn is_call<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_2 && is_grpc(request.headers())
}

/// Whether the content type is `application/grpc`, with `+` and a format or not, with parameters or
/// not.
pub fn is_grpc(fields: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some(kind) = fields.get(CONTENT_TYPE) else {
        return false;
    };
    let kind = kind.as_bytes();
    let Some((kind, rest)) = kind.split_at_checked(GRPC.len()) else {
        return false;
    };
    kind.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: Version, kind: &str) -> bool {
        let request = Request::builder().version(version);
        is_call(&request.header(CONTENT_TYPE, kind).body(()).unwrap())
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc+json",
            "application/grpc;charset=utf-8",
            "application/grpc ; a=b",
            "Application/gRPC",
        ] {
            assert!(asked(Version::HTTP_2, kind), "{kind}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_another_protocol() {
        for kind in [
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/grpcx",
            "application/grp",
            "application/json",
            "",
        ] {
            assert!(!asked(Version::HTTP_2, kind), "{kind}");
        }
        assert!(!is_call(&Request::new(())));
    }

    #[test]
    fn there_is_no_grpc_without_http2() {
        assert!(!asked(Version::HTTP_11, "application/grpc"));
    }
}
