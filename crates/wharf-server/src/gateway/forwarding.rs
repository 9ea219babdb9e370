//! [`Forwarding`]: what answers the requests of a route that has an upstream.

use std::sync::Arc;

use axum::body::Bytes;
use http::header::TRANSFER_ENCODING;
use http::request::Parts;
use http::{Extensions, HeaderValue, Method, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use wharf_http::BoxError;
use wharf_http::websocket::WebSocketUpgrade;
use wharf_pool::config::ByteSize;
use wharf_upstream::{ResponseBody, SendBody, SendOptions, Upstream};

use super::came::Came;
use super::hops::{Hop, hop};
use super::origin::Scheme;
use super::reason::{Reason, Telling};
use super::request_body::{ClientBody, Excess};
use super::response_body::UpstreamBody;
use super::{request_head, response_head, session};
use crate::config::Forward;
use crate::demo::AppBody;

/// What answers the requests of a route that has an upstream.
#[derive(Debug)]
pub(crate) struct Forwarding {
    /// The route's path.
    pub(crate) prefix: String,
    /// How the route has it.
    pub(crate) forward: Forward,
    /// Who answers.
    pub(crate) upstream: Upstream,
    /// How clients reach the listener.
    pub(crate) scheme: Scheme,
    /// Whether they are told reasons.
    pub(crate) telling: Telling,
}

impl Forwarding {
    /// Answers a request by the upstream, or says why it is not answered.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request is given up, at the upstream too.
    pub(crate) async fn answer<B>(self: Arc<Self>, request: Request<B>) -> Response<AppBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let answered = self.try_answer(request).await;
        answered.unwrap_or_else(|reason| reason.response(self.telling).map(AppBody::whole))
    }

    /// The same for a gRPC call.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::answer`].
    pub(crate) async fn answer_call<B>(self: Arc<Self>, request: Request<B>) -> Response<AppBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let answered = self.try_answer(request).await;
        answered.unwrap_or_else(|reason| reason.refusal(self.telling).map(|()| AppBody::none()))
    }

    /// Whether the route is for the service of that path, and not for whatever comes.
    pub(crate) fn names(&self, service: &str) -> bool {
        self.prefix.starts_with(service)
    }

    async fn try_answer<B>(&self, mut request: Request<B>) -> Result<Response<AppBody>, Reason>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let upgrade = WebSocketUpgrade::from_request(&mut request).ok();
        let (mut head, body) = request.into_parts();
        let settings = &self.forward.settings;
        let came = Came::take(&mut head, self);
        let answered = if let Some(upgrade) = upgrade {
            // Requests have no room for what only sessions need.
            Box::pin(session::open(self, upgrade, head, &came)).await
        } else if hop(&head.method, &mut head.headers) == Hop::Last {
            Ok(Response::new(AppBody::none()))
        } else {
            let options = came.options(settings);
            let request = request_head::forwarded(&mut head, &came, &self.prefix, &self.forward);
            match request {
                Ok(()) => self.exchange(head, body, &options).await,
                Err(reason) => Err(reason),
            }
        };
        answered.inspect_err(|reason| {
            let (upstream, reason) = (self.forward.upstream.as_str(), reason.as_str());
            tracing::debug!(
                upstream,
                reason,
                "a request was not answered by its upstream"
            );
        })
    }
}

/// Parts of the way.
impl Forwarding {
    async fn exchange<B>(
        &self,
        mut head: Parts,
        body: B,
        options: &SendOptions,
    ) -> Result<Response<AppBody>, Reason>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let method = head.method.clone();
        if body.size_hint().exact().is_none() {
            // Of a GET the codec would send no body, unless it is told that there is one.
            let chunked = HeaderValue::from_static("chunked");
            head.headers.insert(TRANSFER_ENCODING, chunked);
        }
        let most = self.forward.settings.max_body_size.map(ByteSize::get);
        if most.is_some_and(|most| body.size_hint().lower() > most) {
            // Known before a byte of it came: no client is asked for it, and no connection lost on it.
            return Err(Reason::BodyTooLarge);
        }
        let (body, excess) = if body.is_end_stream() {
            (SendBody::default(), Excess::default())
        } else {
            let (body, excess) = ClientBody::new(body, most, &self.forward.request_fields);
            (body.boxed_unsync(), excess)
        };
        let request = Request::from_parts(head, body);
        match self.send(request, options).await {
            Ok(answer) => self.passed(answer, &method),
            Err(_) if excess.is_there() => Err(Reason::BodyTooLarge),
            Err(reason) => Err(reason),
        }
    }

    /// Asks the upstream.
    pub(super) async fn send(
        &self,
        request: Request<SendBody>,
        options: &SendOptions,
    ) -> Result<Response<ResponseBody>, Reason> {
        self.upstream
            .send(request, options)
            .await
            .map_err(|error| Reason::of(&error))
    }

    /// An upstream's answer as the client is to have it.
    pub(super) fn passed(
        &self,
        answer: Response<ResponseBody>,
        method: &Method,
    ) -> Result<Response<AppBody>, Reason> {
        let (mut head, body) = answer.into_parts();
        if head.status.is_informational() {
            // 101 to who asked for none: what follows is no answer.
            return Err(Reason::Malformed);
        }
        // They are about the upstream's connection, and some mean something to the client's codec.
        head.extensions = Extensions::new();
        response_head::answered(&mut head, method, &self.forward);
        let body = AppBody::streamed(UpstreamBody::new(body, &self.forward.response_fields));
        Ok(Response::from_parts(head, body))
    }
}
