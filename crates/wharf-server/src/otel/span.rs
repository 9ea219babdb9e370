//! Spans: what is said of a request, by the semantic conventions for HTTP and RPC.

use http::uri::Authority;
use http::{Method, StatusCode, Version};
use wharf_http::RequestRecord;
use wharf_http::grpc::Code;
use wharf_pool::Outcome;

use super::context::TraceContext;
use super::followed::{Followed, Place, Way};
use super::moment;
use super::wire::{self, KeyValue, Span, SpanKind, Status, int, text};
use crate::gateway::Scheme;

/// How much of a text that a peer sent is told.
const LONGEST: usize = 1024;

/// What stands for a method that nobody knows.
const OTHER: &str = "_OTHER";

/// In the flags of a span: it is known whether its parent is on another machine, and it is.
const REMOTE: u32 = 0x300;

/// In the flags of a span: it is known whether its parent is on another machine, and it is not.
const LOCAL: u32 = 0x100;

/// The span of a request that has ended now.
pub(super) fn of_request(record: &RequestRecord<'_>, followed: &Followed, place: &Place) -> Span {
    let way = followed.way.get();
    let rpc = way.filter(|way| way.is_call).map(|_| rpc_method(record));
    let method = method(record.method);
    let mut attributes = Vec::with_capacity(20);
    attributes.push(text("url.path", cut(record.target.path())));
    attributes.push(text("url.scheme", scheme(record, way)));
    attributes.push(text("network.protocol.version", version(record.version)));
    attributes.push(text(
        "client.address",
        record.peer.ip().to_canonical().to_string(),
    ));
    attributes.push(int("client.port", i64::from(record.peer.port())));
    attributes.push(text("wharf.listener", record.pool.listener().as_str()));
    attributes.push(text("wharf.protocol", record.pool.protocol()));
    attributes.push(text("wharf.connection.id", record.connection.to_string()));
    attributes.push(int("http.response.body.size", clamped(record.bytes_sent)));
    attributes.extend(server(record, followed));
    if let Some(agent) = record.user_agent {
        let agent = String::from_utf8_lossy(agent.as_bytes());
        attributes.push(text("user_agent.original", cut(&agent)));
    }
    if let Some(status) = record.status {
        let status = i64::from(status.as_u16());
        attributes.push(int("http.response.status_code", status));
    }
    let error = error(record);
    attributes.extend(error.as_ref().map(|error| text("error.type", error)));
    let name = if let Some(rpc) = &rpc {
        attributes.extend(call(rpc, record.code));
        (*rpc).to_owned()
    } else {
        attributes.extend(methods(record.method));
        attributes.extend(way.map(|way| text("http.route", &*way.route)));
        named(method, way)
    };
    let parent = place.parent.map(|parent| (parent, REMOTE));
    let ended = moment::now();
    let begun = ended.saturating_sub(moment::nanoseconds(record.duration));
    Span {
        trace_state: place.state.clone(),
        kind: SpanKind::Server.into(),
        attributes,
        ..bare(name, place.own, parent, (begun, ended), error.is_some())
    }
}

/// A span with what every span has; whose parent is told with where it is.
pub(super) fn bare(
    name: String,
    own: TraceContext,
    parent: Option<(TraceContext, u32)>,
    (begun, ended): (u64, u64),
    failed: bool,
) -> Span {
    let status = Status {
        code: wire::StatusCode::Error.into(),
    };
    Span {
        trace_id: own.trace.to_vec(),
        span_id: own.span.to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |(parent, _)| parent.span.to_vec()),
        flags: u32::from(own.flags()) | parent.map_or(0, |(_, place)| place),
        name,
        start_time_unix_nano: begun,
        end_time_unix_nano: ended,
        status: failed.then_some(status),
        ..Span::default()
    }
}

/// The parent of a span for what is done for a request.
pub(super) const fn local(place: &Place) -> (TraceContext, u32) {
    (place.own, LOCAL)
}

/// A method by its name, if it is one that is known: names that peers make up are as many as they like.
pub(super) fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 10] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
    ];
    let known = KNOWN.iter().find(|known| method.as_str() == **known);
    known.copied().unwrap_or(OTHER)
}

/// The attributes for a method.
pub(super) fn methods(original: &Method) -> impl Iterator<Item = KeyValue> {
    let known = method(original);
    let other =
        (known == OTHER).then(|| text("http.request.method_original", cut(original.as_str())));
    [Some(text("http.request.method", known)), other]
        .into_iter()
        .flatten()
}

/// The name of a version, as the conventions have it.
pub(super) const fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// How the client has reached us: of a request that was refused before it was routed, as far as it is known.
pub(super) fn scheme(record: &RequestRecord<'_>, way: Option<&Way>) -> &'static str {
    let secured = record.pool.protocol() == "https" || record.target.scheme_str() == Some("https");
    match way.map(|way| way.scheme) {
        Some(Scheme::Https) => "https",
        None if secured => "https",
        Some(Scheme::Http) | None => "http",
    }
}

/// Why a request counts as failed, in a word from a closed set.
pub(super) fn error(record: &RequestRecord<'_>) -> Option<String> {
    if let Some(code) = record.code {
        return is_our_fault(code).then(|| code.as_str().to_owned());
    }
    if record.outcome == Outcome::Cancelled {
        return Some("cancelled".to_owned());
    }
    let status = record.status.filter(StatusCode::is_server_error);
    status.map(|status| status.as_str().to_owned())
}

/// A text of a peer's, at most so long as is told.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// The attributes of a gRPC call.
pub(super) fn call(method: &str, code: Option<Code>) -> impl Iterator<Item = KeyValue> {
    let status = code.map(|code| text("rpc.response.status_code", code.as_str()));
    let method = [text("rpc.system.name", "grpc"), text("rpc.method", method)];
    method.into_iter().chain(status)
}

/// `package.Service/Method`, if there is such a method.
fn rpc_method<'a>(record: &RequestRecord<'a>) -> &'a str {
    if record.code == Some(Code::Unimplemented) {
        return OTHER;
    }
    let path = record.target.path();
    cut(path.strip_prefix('/').unwrap_or(path))
}

/// Of the codes, those that the conventions count as failures of a server.
const fn is_our_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// `GET /route`; without a route only the method.
fn named(method: &str, way: Option<&Way>) -> String {
    let method = if method == OTHER { "HTTP" } else { method };
    way.map_or_else(
        || method.to_owned(),
        |way| format!("{method} {}", way.route),
    )
}

/// Whom the client asked for.
fn server(record: &RequestRecord<'_>, followed: &Followed) -> impl Iterator<Item = KeyValue> {
    let host = || {
        let host = followed.host.as_ref()?.as_bytes();
        Authority::try_from(host).ok()
    };
    let authority = record.target.authority().cloned().or_else(host);
    let address = authority
        .as_ref()
        .map(|it| text("server.address", cut(it.host())));
    let port = authority.as_ref().and_then(Authority::port_u16);
    let port = port.map(|port| int("server.port", i64::from(port)));
    address.into_iter().chain(port)
}

fn clamped(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
