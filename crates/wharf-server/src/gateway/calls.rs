//! [`Calls`]: gRPC calls that go to an upstream, as a service that can be supervised.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;
use wharf_http::BoxError;

use super::forwarding::Forwarding;
use crate::demo::AppBody;

/// gRPC calls that go to an upstream: their messages, deadlines and ends are those of any other service
/// that wharf serves.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    forwarding: Arc<Forwarding>,
}

impl Calls {
    /// Those of one route.
    pub(crate) fn new(forwarding: Arc<Forwarding>) -> Self {
        Self { forwarding }
    }
}

impl<B> Service<Request<B>> for Calls
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<AppBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<AppBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = Arc::clone(&self.forwarding).answer_call(request);
        Box::pin(async { Ok(answer.await) })
    }
}
