//! [`Beside`]: an application and gRPC services on the same connections.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_service::Service;

use super::content_type::is_call;
use super::service::{Supervised, only};
use crate::app::BoxError;

/// Serves gRPC calls with `grpc`, a tonic `Routes` for example, and all other requests with `app`.
/// A call that no service of `grpc` knows is answered by it, as tonic does with UNIMPLEMENTED.
///
/// Two axum routers cannot be merged if both have a fallback; these two need not know of each other.
pub fn beside<A, G>(app: A, grpc: G) -> Beside<A, Supervised<G>> {
    Beside {
        app,
        grpc: only(grpc),
    }
}

/// An application and gRPC services on the same connections. Made by [`beside`].
///
/// It is always ready: a side that is not lets only its own requests wait.
#[derive(Clone, Debug)]
pub struct Beside<A, G> {
    app: A,
    grpc: G,
}

impl<A, G> Beside<A, Supervised<G>> {
    /// Changes how calls are supervised: their limits, and where they are counted.
    #[must_use]
    pub fn supervised(mut self, change: impl FnOnce(Supervised<G>) -> Supervised<G>) -> Self {
        self.grpc = change(self.grpc);
        self
    }
}

impl<A, G, B, RA, RG> Service<Request<B>> for Beside<A, G>
where
    A: Service<Request<B>, Response = Response<RA>, Error: Into<BoxError>> + Clone,
    G: Service<Request<B>, Response = Response<RG>, Error: Into<BoxError>> + Clone,
    RA: Body<Data = Bytes>,
    RG: Body<Data = Bytes>,
{
    type Response = Response<EitherBody<RA, RG>>;
    type Error = BoxError;
    type Future = EitherAnswer<Oneshot<A, Request<B>>, Oneshot<G, Request<B>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let side = if is_call(&request) {
            let it = Oneshot::new(self.grpc.clone(), request);
            Side::Grpc { it }
        } else {
            let it = Oneshot::new(self.app.clone(), request);
            Side::App { it }
        };
        EitherAnswer { side }
    }
}

pin_project! {
    /// The answer of either side, as it is being made.
    #[derive(Debug)]
    pub struct EitherAnswer<A, G> {
        #[pin]
        side: Side<A, G>,
    }
}

pin_project! {
    /// The body of either side.
    #[derive(Debug)]
    pub struct EitherBody<A, G> {
        #[pin]
        side: Side<A, G>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = SideProj]
    enum Side<A, G> {
        App { #[pin] it: A },
        Grpc { #[pin] it: G },
    }
}

impl<A, G, RA, RG, EA, EG> Future for EitherAnswer<A, G>
where
    A: Future<Output = Result<Response<RA>, EA>>,
    G: Future<Output = Result<Response<RG>, EG>>,
    EA: Into<BoxError>,
    EG: Into<BoxError>,
{
    type Output = Result<Response<EitherBody<RA, RG>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let side = match self.project().side.project() {
            SideProj::App { it } => {
                let response = ready!(it.poll(cx)).map_err(Into::into)?;
                response.map(|it| Side::App { it })
            }
            SideProj::Grpc { it } => {
                let response = ready!(it.poll(cx)).map_err(Into::into)?;
                response.map(|it| Side::Grpc { it })
            }
        };
        Poll::Ready(Ok(side.map(|side| EitherBody { side })))
    }
}

impl<A, G> Body for EitherBody<A, G>
where
    A: Body<Data = Bytes, Error: Into<BoxError>>,
    G: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().side.project() {
            SideProj::App { it } => it.poll_frame(cx).map_err(Into::into),
            SideProj::Grpc { it } => it.poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.side {
            Side::App { it } => it.is_end_stream(),
            Side::Grpc { it } => it.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.side {
            Side::App { it } => it.size_hint(),
            Side::Grpc { it } => it.size_hint(),
        }
    }
}
