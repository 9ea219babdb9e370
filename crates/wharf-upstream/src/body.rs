//! [`SendBody`] and [`ResponseBody`]: what is sent, and what comes back.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::address::EndpointAddress;
use crate::flight::Flight;

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of a request, as the caller gives it: sent as it comes.
pub type SendBody = UnsyncBoxBody<Bytes, BoxError>;

pin_project! {
    /// The body of an answer, as it comes. It keeps the connection's lease and counts as a request in
    /// flight until its end; dropped before, the request is given up.
    pub struct ResponseBody {
        #[pin]
        incoming: Incoming,
        flight: Option<Flight>,
        endpoint: EndpointAddress,
        patience: Option<Duration>,
        #[pin]
        pause: Option<Sleep>,
    }

    impl PinnedDrop for ResponseBody {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(flight) = this.flight.take() {
                if this.incoming.is_end_stream() {
                    flight.complete();
                } else {
                    flight.abandon();
                }
            }
        }
    }
}

/// Why the body of an answer broke off.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The connection broke, or the endpoint reset the stream.
    #[error("the answer of {endpoint} broke off")]
    Broken {
        /// Whose answer.
        endpoint: EndpointAddress,
        /// What the codec says.
        source: Arc<hyper::Error>,
    },
    /// Nothing came for `body_timeout`.
    #[error("the answer of {endpoint} paused for longer than {after:?}")]
    Timeout {
        /// Whose answer.
        endpoint: EndpointAddress,
        /// The limit.
        after: Duration,
    },
}

impl ResponseBody {
    pub(crate) fn new(
        incoming: Incoming,
        flight: Option<Flight>,
        endpoint: EndpointAddress,
        patience: Option<Duration>,
    ) -> Self {
        let mut body = Self {
            incoming,
            flight,
            endpoint,
            patience,
            pause: None,
        };
        // One without a byte is at its end already, unless the bytes after its head are somebody's.
        if body.incoming.is_end_stream()
            && body
                .flight
                .as_ref()
                .is_some_and(|flight| !flight.is_tunnel())
            && let Some(flight) = body.flight.take()
        {
            flight.complete();
        }
        body
    }

    fn finish(self: Pin<&mut Self>, end: impl FnOnce(Flight)) {
        if let Some(flight) = self.project().flight.take() {
            end(flight);
        }
    }

    /// Something came; ready with the error if it was too late.
    fn waits(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BodyError> {
        let mut this = self.project();
        let Some(after) = *this.patience else {
            return Poll::Pending;
        };
        if this.pause.is_none() {
            this.pause.set(Some(sleep_until(Instant::now() + after)));
        }
        if let Some(pause) = this.pause.as_mut().as_pin_mut() {
            ready!(pause.poll(cx));
        }
        let endpoint = this.endpoint.clone();
        Poll::Ready(BodyError::Timeout { endpoint, after })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut this = self.as_mut().project();
        let Poll::Ready(polled) = this.incoming.as_mut().poll_frame(cx) else {
            let error = ready!(self.as_mut().waits(cx));
            self.finish(Flight::late);
            return Poll::Ready(Some(Err(error)));
        };
        this.pause.set(None);
        match polled {
            Some(Ok(frame)) => {
                if let (Some(trailers), Some(flight)) = (frame.trailers_ref(), this.flight) {
                    flight.trailers(trailers);
                }
                if this.incoming.is_end_stream() {
                    self.finish(Flight::complete);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(source)) => {
                let endpoint = this.endpoint.clone();
                self.finish(Flight::broken);
                let source = Arc::new(source);
                Poll::Ready(Some(Err(BodyError::Broken { endpoint, source })))
            }
            None => {
                self.finish(Flight::complete);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
