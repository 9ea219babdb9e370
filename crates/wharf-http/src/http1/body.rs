//! [`ResponseBody`]: the answer's body, which holds the request's place until its last byte.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::answering::Answering;
use crate::app::BoxError;
use crate::panics::report_panic;
use crate::transport::Transport;

pin_project! {
    /// The application's body with the request that it belongs to.
    pub(crate) struct ResponseBody<T: Transport, B> {
        // `None` is an answer of our own, without a body.
        #[pin]
        body: Option<B>,
        flight: Answering<T>,
    }
}

impl<T: Transport, B: Body> ResponseBody<T, B> {
    pub(crate) fn new(body: Option<B>, mut flight: Answering<T>) -> Self {
        if body.as_ref().is_none_or(Body::is_end_stream) {
            flight.complete();
        }
        Self { body, flight }
    }
}

impl<T, B> Body for ResponseBody<T, B>
where
    T: Transport,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut this = self.project();
        let Some(mut body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let polled = match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_frame(cx))) {
            Ok(polled) => polled,
            Err(panic) => {
                report_panic(this.flight.handle(), &*panic);
                this.flight.wire().lock().fate.panicked = true;
                return Poll::Ready(Some(Err("the body panicked".into())));
            }
        };
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.flight.sent(data.remaining());
                }
                if body.is_end_stream() {
                    this.flight.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.flight.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let error = error.into();
                tracing::debug!(connection = %this.flight.id(), error = &*error, "a body failed");
                this.flight.wire().lock().fate.app_failed = true;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
