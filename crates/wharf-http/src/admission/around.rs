//! [`Admitted`]: an application behind a limit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::util::Oneshot;
use tower_service::Service;

use super::entry::{Entry, Later};
use super::permit::Permit;
use super::rank::{Rank, Work};
use super::refusal::Asked;
use super::{Absent, Admission};
use crate::app::BoxError;
use crate::body::RequestBody;
use crate::grpc;

/// An application behind a limit.
#[derive(Clone)]
pub struct Admitted<S, R> {
    admission: Admission,
    app: S,
    rank: R,
}

impl<S, R> Admitted<S, R> {
    pub(super) const fn new(admission: Admission, app: S, rank: R) -> Self {
        Self {
            admission,
            app,
            rank,
        }
    }
}

impl<S, R> fmt::Debug for Admitted<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted")
            .field("admission", &self.admission)
            .finish_non_exhaustive()
    }
}

impl<S, R, B> Service<Request<RequestBody>> for Admitted<S, R>
where
    S: Service<Request<RequestBody>, Response = Response<B>, Future: Send> + Clone + Send + 'static,
    S::Error: Send,
    R: Fn(&Request<RequestBody>) -> Rank,
    B: Send + 'static,
{
    type Response = Response<AnswerBody<B>>;
    type Error = S::Error;
    type Future = Admitting<S::Future, B, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.app.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        if !self.admission.is_on() {
            return Admitting::begun(self.app.call(request), None);
        }
        let rank = (self.rank)(&request);
        if rank.work() == Work::None {
            return Admitting::begun(self.app.call(request), None);
        }
        match self.admission.enter(rank.class()) {
            Entry::Open(permit) => {
                let work = Some(begin(&mut request, permit, rank));
                Admitting::begun(self.app.call(request), work)
            }
            Entry::Later(later) => {
                let app = self.app.clone();
                // The one that is ready may hold what the other waits for.
                self.app = app.clone();
                Admitting {
                    stage: Stage::Waiting {
                        answer: Box::pin(wait(later, rank, app, request)),
                    },
                }
            }
        }
    }
}

/// Work on a request that has a place.
struct Working {
    permit: Permit,
    work: Work,
}

/// The place is free while the peer's body is waited for.
fn begin(request: &mut Request<RequestBody>, mut permit: Permit, rank: Rank) -> Working {
    if !request.body().is_end_stream() {
        let absent = Absent::of(permit.may_be_absent());
        request.body_mut().tell_absent(absent);
    }
    let work = rank.work();
    Working { permit, work }
}

/// Waits for a place, and then for the answer.
async fn wait<S, B>(
    later: Later,
    rank: Rank,
    app: S,
    mut request: Request<RequestBody>,
) -> Result<Response<AnswerBody<B>>, S::Error>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Send,
{
    let asked = Asked::by(&request);
    let user = rank.user(&request);
    let caller = match asked {
        Asked::Call => grpc::timeout::asked(request.headers()).ok().flatten(),
        Asked::Request | Asked::Stream => None,
    };
    match later.pass(user, caller).await {
        Ok(permit) => {
            let work = Some(begin(&mut request, permit, rank));
            let handler = Oneshot::new(app, request);
            At { handler, work }.await
        }
        Err(refused) => Ok(refused.answer(asked, AnswerBody { body: None })),
    }
}

pin_project! {
    /// The answer of an application behind a limit, as it is being made.
    pub struct Admitting<F, B, E> {
        #[pin]
        stage: Stage<F, B, E>,
    }
}

type Boxed<B, E> = Pin<Box<dyn Future<Output = Result<Response<AnswerBody<B>>, E>> + Send>>;

pin_project! {
    #[project = StageProjection]
    enum Stage<F, B, E> {
        Working { #[pin] at: At<F> },
        Waiting { answer: Boxed<B, E> },
    }
}

impl<F, B, E> Admitting<F, B, E> {
    const fn begun(handler: F, work: Option<Working>) -> Self {
        let at = At { handler, work };
        Self {
            stage: Stage::Working { at },
        }
    }
}

impl<F, B, E> fmt::Debug for Admitting<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitting").finish_non_exhaustive()
    }
}

impl<F, B, E> Future for Admitting<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<AnswerBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().stage.project() {
            StageProjection::Working { at } => at.poll(cx),
            StageProjection::Waiting { answer } => answer.as_mut().poll(cx),
        }
    }
}

pin_project! {
    /// A handler at work.
    struct At<F> {
        #[pin]
        handler: F,
        work: Option<Working>,
    }
}

impl<F, B, E> Future for At<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<AnswerBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = this.handler.poll(cx);
        let elsewhere = |it: &mut Working| it.work == Work::Elsewhere;
        if polled.is_pending() {
            // What is forwarded is on its way.
            drop(this.work.take_if(elsewhere));
            return Poll::Pending;
        }
        let answer = ready!(polled);
        if let Some(Working {
            permit,
            work: Work::Here,
        }) = this.work.take()
        {
            permit.done(!is_overloaded(&answer));
        }
        Poll::Ready(answer.map(|answer| answer.map(AnswerBody::of)))
    }
}

/// Whether the handler says that something was too much for it.
fn is_overloaded<B, E>(answer: &Result<Response<B>, E>) -> bool {
    answer.as_ref().is_ok_and(|answer| {
        let status = answer.status();
        status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::GATEWAY_TIMEOUT
    })
}

pin_project! {
    /// The body of an answer: the application's, or none.
    #[derive(Debug)]
    pub struct AnswerBody<B> {
        #[pin]
        body: Option<B>,
    }
}

impl<B> AnswerBody<B> {
    const fn of(body: B) -> Self {
        Self { body: Some(body) }
    }
}

impl<B> Body for AnswerBody<B>
where
    B: Body<Error: Into<BoxError>>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
