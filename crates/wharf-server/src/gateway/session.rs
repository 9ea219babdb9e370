//! WebSocket sessions of a client with an upstream (RFC 6455, RFC 8441).
//!
//! A client of either version of HTTP becomes one of HTTP/1 to the upstream. It is told that there is a
//! session when the upstream has said so, and not before: bytes behind a request for an upgrade are no
//! frames until then, and another request never.

use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TE, UPGRADE,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use wharf_http::websocket::{ClientKey, WebSocketUpgrade};
use wharf_upstream::ResponseBody;

use super::came::Came;
use super::forwarding::Forwarding;
use super::reason::Reason;
use super::relay::relay;
use super::{request_head, response_head};
use crate::demo::AppBody;

/// Opens a session, or passes the upstream's other answer on.
///
/// # Errors
///
/// There is no answer that could be passed on.
pub(super) async fn open(
    forwarding: &Forwarding,
    upgrade: WebSocketUpgrade,
    mut head: Parts,
    came: &Came,
) -> Result<Response<AppBody>, Reason> {
    let on_stream = head.version == Version::HTTP_2;
    // RFC 8441 5: what was CONNECT there is GET here, with a key, which streams have none of.
    head.method = Method::GET;
    let key = head.headers.remove(SEC_WEBSOCKET_KEY);
    let key = key.map_or_else(ClientKey::new, ClientKey::of);
    request_head::forwarded(&mut head, came, &forwarding.prefix, &forwarding.forward)?;
    ask(&mut head.headers, &key);
    let request = Request::from_parts(
        head,
        Empty::new().map_err(|none| match none {}).boxed_unsync(),
    );
    let mut options = came.options(&forwarding.forward.settings);
    options.upgrade = true;
    let answer = forwarding.send(request, &options).await?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return accept(forwarding, upgrade, answer, &key).await;
    }
    if on_stream && answer.status().is_success() {
        // To whoever asked by CONNECT it would say that there is a session.
        return Err(Reason::NoSession);
    }
    forwarding.passed(answer, &Method::GET)
}

/// The upstream has said 101: the client is told, if that is the answer to what was asked.
async fn accept(
    forwarding: &Forwarding,
    upgrade: WebSocketUpgrade,
    mut answer: Response<ResponseBody>,
    key: &ClientKey,
) -> Result<Response<AppBody>, Reason> {
    if !key.is_answered_by(answer.headers()) {
        return Err(Reason::NoSession);
    }
    let upgraded = hyper::upgrade::on(&mut answer).await;
    let upstream = upgraded.map_err(|_| Reason::NoSession)?;
    let (mut head, _) = answer.into_parts();
    head.headers.remove(SEC_WEBSOCKET_ACCEPT);
    response_head::answered(&mut head, &Method::GET, &forwarding.forward);
    let mut accepted = upgrade.on_upgrade_bytes(|client| relay(client, TokioIo::new(upstream)));
    for (name, value) in &head.headers {
        accepted.headers_mut().append(name, value.clone());
    }
    Ok(accepted.map(|_| AppBody::none()))
}

/// Makes a request for a session of what is left of one.
fn ask(fields: &mut HeaderMap, key: &ClientKey) {
    fields.remove(TE);
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(SEC_WEBSOCKET_KEY, key.value().clone());
}
