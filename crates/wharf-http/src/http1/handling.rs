//! [`Handling`]: the application at work on one request.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;

use crate::app::{App, BoxError};
use crate::body::RequestBody;

pin_project! {
    /// The application at work on one request.
    #[project = Projection]
    pub(super) enum Handling<S: App> {
        /// It is not ready to take the request. On the heap: nearly all are, at once.
        Waiting { waiting: Box<Waiting<S>> },
        /// It will never be.
        Failed { error: Option<BoxError> },
        Answering { #[pin] answering: S::Future },
    }
}

pub(super) struct Waiting<S> {
    app: S,
    request: Option<Request<RequestBody>>,
}

impl<S: App> Handling<S> {
    /// Gives the request to the application, or keeps it until that is ready. What is left of the application can
    /// take another.
    pub(super) fn begin(mut app: S, request: Request<RequestBody>) -> (Self, Option<S>) {
        // Who has to wait asks again with a waker of its own.
        match app.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {
                let answering = app.call(request);
                (Self::Answering { answering }, Some(app))
            }
            Poll::Ready(Err(error)) => {
                let error = Some(error.into());
                (Self::Failed { error }, None)
            }
            Poll::Pending => {
                let request = Some(request);
                let waiting = Box::new(Waiting { app, request });
                (Self::Waiting { waiting }, None)
            }
        }
    }
}

impl<S: App> Future for Handling<S> {
    type Output = Result<Response<S::Body>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answering = match self.as_mut().project() {
            Projection::Answering { answering } => {
                return answering.poll(cx).map_err(Into::into);
            }
            Projection::Failed { error } => {
                return error
                    .take()
                    .map_or(Poll::Pending, |it| Poll::Ready(Err(it)));
            }
            Projection::Waiting { waiting } => {
                ready!(waiting.app.poll_ready(cx)).map_err(Into::into)?;
                let Some(request) = waiting.request.take() else {
                    return Poll::Pending;
                };
                waiting.app.call(request)
            }
        };
        self.set(Self::Answering { answering });
        self.poll(cx)
    }
}
