//! [`WebSocketUpgrade`]: a request for a session, in the hands of its handler.

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use tokio_util::task::TaskTracker;

use super::bytes::WebSocketBytes;
use super::client_key::answer_to;
use super::invitation::{Accepted, Invitation, Way};
use super::no_body::NoBody;
use super::rejection::WebSocketRejection;
use super::socket::WebSocket;

/// A request for a session, over HTTP/1 or HTTP/2 (RFC 8441): an extractor for axum, and for tower
/// services by [`WebSocketUpgrade::from_request`].
///
/// That it is a handshake, that its origin is allowed and that there is a place for the session has been
/// seen to before. Dropped, it accepts nothing, and the place is given back with the answer.
#[derive(Debug)]
#[must_use = "a request that is dropped gets no session"]
pub struct WebSocketUpgrade {
    tasks: TaskTracker,
    accepted: Accepted,
    /// What proves to the client that its handshake was read, where it asks for that.
    accept: Option<HeaderValue>,
    requested: Vec<String>,
    protocol: Option<HeaderValue>,
}

impl WebSocketUpgrade {
    /// Takes the request for a session out of a request.
    ///
    /// # Errors
    ///
    /// The request asks for none, or this listener has none.
    pub fn from_request<B>(request: &mut Request<B>) -> Result<Self, WebSocketRejection> {
        let mut extensions = std::mem::take(request.extensions_mut());
        let taken = Self::take(request.headers(), &mut extensions);
        *request.extensions_mut() = extensions;
        taken
    }

    pub(super) fn take(
        fields: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Result<Self, WebSocketRejection> {
        let none = || WebSocketRejection::of(fields);
        let Invitation { tasks, way } = extensions.remove().ok_or_else(none)?;
        let (accepted, accept) = match way {
            Way::Connection(claim) => {
                let upgrade = extensions.remove::<OnUpgrade>().ok_or_else(none)?;
                let accept = fields.get(SEC_WEBSOCKET_KEY).and_then(answer_to);
                (Accepted::Connection(upgrade, claim), accept)
            }
            Way::Stream(seat) => (Accepted::Stream(seat.accept()), None),
        };
        Ok(Self {
            tasks,
            accepted,
            accept,
            requested: requested(fields),
            protocol: None,
        })
    }

    /// Says which protocols are spoken here; the first that the client knows too is agreed on.
    pub fn protocols<P: AsRef<str>>(mut self, spoken: impl IntoIterator<Item = P>) -> Self {
        let spoken = spoken
            .into_iter()
            .find(|spoken| self.requested.iter().any(|it| it == spoken.as_ref()));
        self.protocol = spoken.and_then(|it| HeaderValue::from_str(it.as_ref()).ok());
        self
    }

    /// The protocols that the client knows, best first.
    pub fn requested_protocols(&self) -> impl Iterator<Item = &str> {
        self.requested.iter().map(String::as_str)
    }

    /// The protocol that was agreed on.
    pub fn selected_protocol(&self) -> Option<&str> {
        self.protocol.as_ref()?.to_str().ok()
    }

    /// Accepts the session. `handler` has it in a task of its own once the client has been told, which
    /// the answer does that this returns.
    pub fn on_upgrade<F, Fut>(self, handler: F) -> Response<NoBody>
    where
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.accept_with(|accepted| async move {
            if let Some(session) = accepted.session().await {
                handler(session).await;
            }
        })
    }

    /// The same for a handler that frames by itself. Extensions, and the protocol, are for it to put into
    /// the answer.
    pub fn on_upgrade_bytes<F, Fut>(self, handler: F) -> Response<NoBody>
    where
        F: FnOnce(WebSocketBytes) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.accept_with(|accepted| async move {
            if let Some(session) = accepted.bytes().await {
                handler(session).await;
            }
        })
    }

    fn accept_with<Fut>(self, serve: impl FnOnce(Accepted) -> Fut) -> Response<NoBody>
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let mut response = Response::new(NoBody);
        let fields = response.headers_mut();
        if let Some(protocol) = self.protocol {
            fields.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        match &self.accepted {
            Accepted::Connection(..) => {
                fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
                fields.extend(self.accept.map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            }
            // RFC 8441 5: any 2xx opens it.
            Accepted::Stream(_) => {}
        }
        self.tasks.spawn(serve(self.accepted));
        response
    }
}

/// Copied: what a handler keeps must not keep the buffer that the head was read into.
fn requested(fields: &HeaderMap) -> Vec<String> {
    let fields = fields.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let lists = fields.filter_map(|field| field.to_str().ok());
    let names = lists.flat_map(|list| list.split(',')).map(str::trim);
    names
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_read_from_all_fields() {
        let mut fields = HeaderMap::new();
        for list in ["chat, superchat", " v2 ,,"] {
            fields.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(list));
        }
        assert_eq!(requested(&fields), ["chat", "superchat", "v2"]);
    }
}
