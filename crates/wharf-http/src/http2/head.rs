//! Heads of requests and answers: what wharf asks of the one, and puts into the other.

use h2::ext::Protocol;
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;

use super::date;
use super::request::Kind;
use super::settings::RequestLimits;

/// The status of a request that no handler is to see, if it is one. The codec has checked what
/// RFC 9113 8.2 and 8.3 ask.
pub(super) fn refused<B>(
    request: &Request<B>,
    kind: Kind,
    limits: &RequestLimits,
) -> Option<StatusCode> {
    let target = request.uri();
    let length = target
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if request.method() == Method::CONNECT && kind != Kind::Session {
        let other = request.extensions().get::<Protocol>().is_some();
        Some(if other {
            // RFC 9220 3: a protocol that is not spoken here.
            StatusCode::NOT_IMPLEMENTED
        } else {
            StatusCode::METHOD_NOT_ALLOWED
        })
    } else if length > limits.target {
        Some(StatusCode::URI_TOO_LONG)
    } else if request.headers().len() > limits.headers {
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    } else if !is_host_clear(request) {
        Some(StatusCode::BAD_REQUEST)
    } else if limits
        .body
        .filter(|_| kind.is_paced())
        .is_some_and(|most| announced(request.headers()).is_some_and(|length| length > most))
    {
        Some(StatusCode::PAYLOAD_TOO_LARGE)
    } else {
        None
    }
}

/// The length of the body, where the head announces it.
pub(super) fn announced(fields: &HeaderMap) -> Option<u64> {
    fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the peer waits to be told that its body is welcome (RFC 9110 10.1.1).
pub(super) fn expects_continue(fields: &HeaderMap) -> bool {
    fields
        .get(EXPECT)
        .is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Whether it is clear which host the request is for: `:authority` and `host` must not name two,
/// one of them must be there, and nobody's name and password with it (RFC 9113 8.3.1).
fn is_host_clear<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let authority = request.uri().authority();
    if authority.is_some_and(|authority| authority.as_str().contains('@')) {
        return false;
    }
    match (hosts.next(), hosts.next(), authority) {
        (None, _, authority) => authority.is_some(),
        (Some(_), Some(_), _) => false,
        (Some(host), None, Some(authority)) => host
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes()),
        (Some(host), None, None) => !host.is_empty(),
    }
}

/// Fields that belong to a connection of HTTP/1 (RFC 9113 8.2.2).
const OF_HTTP1: [HeaderName; 5] = [
    CONNECTION,
    UPGRADE,
    TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The head of an answer that opens a session: bytes follow it that are no body (RFC 9110 9.3.6).
pub(super) fn of_session<B>(answer: Response<B>) -> Response<()> {
    let mut head = answer.map(drop);
    settle(head.headers_mut());
    head.headers_mut().remove(CONTENT_LENGTH);
    head
}

fn settle(fields: &mut HeaderMap) {
    for name in OF_HTTP1 {
        fields.remove(name);
    }
    if !fields.contains_key(DATE)
        && let Some(date) = date::now()
    {
        fields.insert(DATE, date);
    }
}

/// The head of an answer as it is sent, and whether nothing follows it.
pub(super) fn of_answer<B: Body>(
    answer: &mut Response<Option<B>>,
    method: &Method,
) -> (Response<()>, bool) {
    let status = answer.status();
    settle(answer.headers_mut());
    let empty = StatusCode::NO_CONTENT == status || StatusCode::NOT_MODIFIED == status;
    let length = answer
        .body()
        .as_ref()
        .map_or(Some(0), |it| it.size_hint().exact());
    let without_body = *method == Method::HEAD || empty;
    // What opens a session is no body, and has no length (RFC 9110 9.3.6).
    let opens = *method == Method::CONNECT && status.is_success();
    if let Some(length) = length.filter(|_| !without_body && !opens)
        && !answer.headers().contains_key(CONTENT_LENGTH)
    {
        answer
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let ended = answer.body().as_ref().is_none_or(Body::is_end_stream) || without_body;
    let mut head = Response::new(());
    *head.status_mut() = status;
    std::mem::swap(head.headers_mut(), answer.headers_mut());
    (head, ended)
}
