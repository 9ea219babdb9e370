//! [`Supervised`]: a service of gRPC calls, supervised.
//!
//! It measures the messages of both directions, answers for a handler that panics or fails, ends a
//! call that is cut short, and counts each call from its head to the last byte of its answer.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::call::Call;
use super::calls::Calls;
use super::code::Code;
use super::content_type::is_call;
use super::limits::MessageLimits;
use super::record::Record;
use super::request_body::RequestBody;
use super::response_body::ResponseBody;
use super::status::Status;
use crate::app::BoxError;

/// Serves gRPC calls with `service`, a tonic `Routes` for example, and nothing else: what is no
/// call is answered with 415.
pub fn only<S>(service: S) -> Supervised<S> {
    Supervised {
        service,
        rules: Arc::default(),
    }
}

/// A service of gRPC calls, supervised. Made by [`only`] and [`beside`](super::beside).
///
/// A [`Call`] among the extensions of a request, which wharf's own connections put there, brings the
/// limits of its pool; of those and these the smaller rule. Without one and without limits of its own
/// they are the default ones.
#[derive(Clone, Debug)]
pub struct Supervised<S> {
    service: S,
    /// In one place: every connection has a copy of the service.
    rules: Arc<Rules>,
}

/// How calls are supervised.
#[derive(Clone, Debug, Default)]
struct Rules {
    limits: Option<MessageLimits>,
    calls: Option<Calls>,
}

impl<S> Supervised<S> {
    /// Lets messages be so long.
    #[must_use]
    pub fn limits(mut self, limits: MessageLimits) -> Self {
        Arc::make_mut(&mut self.rules).limits = Some(limits);
        self
    }

    /// Counts the calls in `calls`.
    #[must_use]
    pub fn calls(mut self, calls: Calls) -> Self {
        Arc::make_mut(&mut self.rules).calls = Some(calls);
        self
    }
}

impl<S, B, R> Service<Request<B>> for Supervised<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>, Error: Into<BoxError>>,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = BoxError;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if !is_call(&request) {
            return Answering::default();
        }
        let call = request.extensions_mut().remove::<Call>();
        let call = match call {
            Some(call) => call.under(self.rules.limits, self.rules.calls.as_ref()),
            None => Call::new(
                self.rules.limits.unwrap_or_default(),
                self.rules.calls.clone(),
            ),
        };
        let record = Record::begin(call.clone(), &request);
        let request = request.map(|body| RequestBody::new(body, call));
        let handler = catch_unwind(AssertUnwindSafe(|| self.service.call(request)));
        Answering {
            handler: handler
                .inspect_err(|panic| {
                    record.call().cut(panicked(&**panic));
                })
                .ok(),
            record: Some(record),
        }
    }
}

pin_project! {
    /// The answer to a call, as it is being made.
    #[derive(Debug)]
    pub struct Answering<F> {
        // `None`: it panicked before it became a future, or it is no call.
        #[pin]
        handler: Option<F>,
        // Taken when the head is there; from then on the body has it.
        record: Option<Record>,
    }
}

impl<F> Default for Answering<F> {
    fn default() -> Self {
        Self {
            handler: None,
            record: None,
        }
    }
}

impl<F, R, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(record) = this.record.as_ref() else {
            return Poll::Ready(Ok(no_call()));
        };
        let polled = match record.call().poll_cut(cx) {
            Some(status) => Poll::Ready(Err(status)),
            None => poll_handler(this.handler.as_mut(), cx),
        };
        let answer = match polled {
            Poll::Ready(answer) => answer,
            // What the handler has read may have cut it.
            Poll::Pending => match record.call().unless_cut() {
                Ok(()) => return Poll::Pending,
                Err(status) => Err(status),
            },
        };
        // Whatever the handler still holds is let go before its answer is sent.
        this.handler.set(None);
        let Some(mut record) = this.record.take() else {
            return Poll::Pending;
        };
        let answer = answer.and_then(|response| record.answered(&response).map(|()| response));
        Poll::Ready(Ok(match answer {
            Ok(response) => response.map(|body| ResponseBody::answer(body, record)),
            Err(status) => {
                record.call().cut(status.clone());
                // It may have been cut with something else before.
                let status = record.call().unless_cut().err().unwrap_or(status);
                status.refusal(ResponseBody::refusal(record))
            }
        }))
    }
}

/// The handler's answer, or how the call ends without one.
fn poll_handler<F, R, E>(
    handler: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Response<R>, Status>>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
{
    let Some(handler) = handler.as_pin_mut() else {
        return Poll::Ready(Err(Status::new(Code::Internal, "no answer")));
    };
    match catch_unwind(AssertUnwindSafe(|| handler.poll(cx))) {
        Ok(polled) => polled.map_err(|error| {
            let error: BoxError = error.into();
            tracing::error!(error = &*error, "the gRPC service failed");
            Status::of_error(&*error)
        }),
        Err(panic) => Poll::Ready(Err(panicked(&*panic))),
    }
}

fn no_call<R: Body>() -> Response<ResponseBody<R>> {
    let mut response = Response::new(ResponseBody::no_call());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

/// What a call is told whose handler panicked; the panic is for the log.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Status {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = message, "a gRPC handler panicked");
    Status::new(Code::Internal, "the handler panicked")
}
