//! The head of a request, as its upstream is to have it.

use http::header::{CONNECTION, HOST, HeaderValue, TE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Uri};

use super::came::Came;
use super::fields::{end_here, end_impostors};
use super::origin::{check_passes, pass};
use super::path::is_ambiguous;
use super::reason::Reason;
use crate::config::{Forward, UpstreamHost};

/// Makes of a client's head the one that goes to an upstream: a target in origin form, and a Host, unless
/// the endpoint's own is to be there.
///
/// # Errors
///
/// The request goes nowhere.
pub(super) fn forwarded(
    head: &mut Parts,
    came: &Came,
    prefix: &str,
    forward: &Forward,
) -> Result<(), Reason> {
    if head.method == Method::TRACE || head.method == Method::CONNECT {
        return Err(Reason::Method);
    }
    if is_ambiguous(head.uri.path()) {
        return Err(Reason::AmbiguousPath);
    }
    check_passes(&head.headers).map_err(|_| Reason::Circle)?;
    let asked = head.uri.path_and_query().cloned();
    let asked = asked.unwrap_or(PathAndQuery::from_static("/"));
    let target = forward.rewrite.apply(&asked, prefix);
    let host = host_of(head);
    let takes_trailers = takes_trailers(&head.headers);
    let fields = &mut head.headers;
    end_here(fields);
    end_impostors(fields);
    came.origin.tell(fields, host.as_ref());
    came.tell_deadline(fields);
    pass(fields, head.version);
    if takes_trailers {
        // RFC 9110 10.1.4: it is about this connection too, and says so.
        fields.insert(TE, HeaderValue::from_static("trailers"));
        fields.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    match (&forward.settings.upstream_host, host) {
        (UpstreamHost::Client, Some(host)) => drop(fields.insert(HOST, host)),
        (UpstreamHost::Named(name), _) => drop(fields.insert(HOST, name.clone())),
        (UpstreamHost::Endpoint, _) | (UpstreamHost::Client, None) => drop(fields.remove(HOST)),
    }
    forward.request_fields.change(fields);
    head.uri = target.map(Uri::from).ok_or(Reason::AmbiguousPath)?;
    head.version = http::Version::HTTP_11;
    Ok(())
}

/// Whom the request is for. That one of both is there, and that they agree, has been seen to before.
fn host_of(head: &Parts) -> Option<HeaderValue> {
    let authority = head.uri.authority();
    let authority = authority.and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    authority.or_else(|| head.headers.get(HOST).cloned())
}

/// Whether `TE` has `trailers`; a coding would be about the connection that it came on.
fn takes_trailers(fields: &HeaderMap) -> bool {
    let lists = fields.get_all(TE).iter();
    let mut words = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{Request, StatusCode, Version};

    use super::*;
    use crate::config::FieldChanges;
    use crate::gateway::Rewrite;
    use crate::gateway::origin::{Origin, Scheme};

    const CAME: Came = Came {
        origin: Origin {
            peer: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
            scheme: Scheme::Http,
        },
        observer: None,
        limit: None,
        deadline: None,
    };

    fn sent(request: Request<()>, forward: &Forward) -> Result<Parts, Reason> {
        let mut head = request.into_parts().0;
        forwarded(&mut head, &CAME, "/api", forward).map(|()| head)
    }

    fn to(target: &str) -> http::request::Builder {
        Request::builder().uri(target).header("host", "a.example")
    }

    #[test]
    fn a_request_goes_on_without_what_was_about_its_connection() {
        let request = to("/api/x?y=z")
            .header("connection", "close, x-private")
            .header("x-private", "1")
            .header("te", "trailers, gzip")
            .header("transfer-encoding", "chunked")
            .header("expect", "100-continue")
            .header("x-wharf-admin", "1")
            .header("accept", "*/*");
        let head = sent(request.body(()).unwrap(), &Forward::to("api")).unwrap();
        assert_eq!(head.uri, "/api/x?y=z");
        let mut names: Vec<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = [
            "accept",
            "connection",
            "forwarded",
            "host",
            "te",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-real-ip",
        ];
        assert_eq!(names, expected);
        assert_eq!(head.headers["connection"], "te");
        assert_eq!(head.headers["te"], "trailers");
        assert_eq!(head.headers["via"], "1.1 wharf");
        assert_eq!(head.headers["host"], "a.example");
    }

    #[test]
    fn an_authority_becomes_the_host() {
        let request = Request::builder()
            .version(Version::HTTP_2)
            .uri("http://b.example:80/api");
        let head = sent(request.body(()).unwrap(), &Forward::to("api")).unwrap();
        assert_eq!(
            (head.uri.to_string().as_str(), head.version),
            ("/api", Version::HTTP_11)
        );
        assert_eq!(head.headers["host"], "b.example:80");
        assert_eq!(head.headers["via"], "2 wharf");
    }

    #[test]
    fn the_host_can_be_the_endpoints_or_any_other() {
        let mut forward = Forward::to("api");
        forward.settings.upstream_host = UpstreamHost::Endpoint;
        let head = sent(to("/api").body(()).unwrap(), &forward).unwrap();
        assert!(!head.headers.contains_key("host"));
        assert_eq!(head.headers["x-forwarded-host"], "a.example");
        forward.settings.upstream_host = UpstreamHost::Named(HeaderValue::from_static("c.example"));
        let head = sent(to("/api").body(()).unwrap(), &forward).unwrap();
        assert_eq!(head.headers["host"], "c.example");
    }

    #[test]
    fn the_operators_fields_come_last() {
        let mut forward = Forward::to("api");
        forward.rewrite = Rewrite::Replace("/v1".to_owned());
        forward.request_fields = Arc::new(FieldChanges {
            set: vec![("x-team".parse().unwrap(), "blue".parse().unwrap())],
            remove: vec!["cookie".parse().unwrap(), "forwarded".parse().unwrap()],
        });
        let request = to("/api/x").header("x-team", "red").header("cookie", "a=b");
        let head = sent(request.body(()).unwrap(), &forward).unwrap();
        assert_eq!(head.uri, "/v1/x");
        assert_eq!(head.headers["x-team"], "blue");
        assert_eq!(head.headers.get_all("x-team").iter().count(), 1);
        assert!(!head.headers.contains_key("cookie") && !head.headers.contains_key("forwarded"));
    }

    #[test]
    fn what_has_no_place_to_go_is_answered_here() {
        let refused = |request: http::request::Builder| {
            sent(request.body(()).unwrap(), &Forward::to("api")).unwrap_err()
        };
        assert_eq!(refused(to("/api/../x")), Reason::AmbiguousPath);
        assert_eq!(refused(to("/api").method("TRACE")), Reason::Method);
        assert_eq!(refused(to("/api").method("CONNECT")), Reason::Method);
        let circle = ["1.1 wharf"; 9].join(", ");
        let circle = refused(to("/api").header("via", circle));
        assert_eq!(circle.status(), StatusCode::LOOP_DETECTED);
    }
}
