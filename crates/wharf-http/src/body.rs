//! [`RequestBody`]: the body of a request, as the application reads it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use crate::admission::Absent;
use crate::app::BoxError;
use crate::http2::Upload;
use crate::websocket::Seat;

pin_project! {
    /// The body of a request, as the application reads it: as it comes, with back-pressure to the
    /// peer.
    #[derive(Debug)]
    pub struct RequestBody {
        #[pin]
        inner: Inner,
        // Told while the peer is waited for.
        absent: Option<Absent>,
    }
}

pin_project! {
    #[project = InnerProjection]
    #[derive(Debug)]
    enum Inner {
        Http1 { #[pin] body: Incoming },
        Http2 { body: Upload },
        Seated { seat: Arc<Seat> },
    }
}

impl RequestBody {
    pub(crate) fn http1(body: Incoming) -> Self {
        Self {
            inner: Inner::Http1 { body },
            absent: None,
        }
    }

    /// Of a stream that asks to become a session.
    pub(crate) fn seated(seat: Arc<Seat>) -> Self {
        Self {
            inner: Inner::Seated { seat },
            absent: None,
        }
    }

    pub(crate) fn http2(body: Upload) -> Self {
        Self {
            inner: Inner::Http2 { body },
            absent: None,
        }
    }

    /// From now on this is told while the handler waits for the peer.
    pub(crate) fn tell_absent(&mut self, absent: Absent) {
        self.absent = Some(absent);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let polled = match this.inner.project() {
            InnerProjection::Http1 { body } => body.poll_frame(cx).map_err(Into::into),
            InnerProjection::Http2 { body } => body.poll_frame(cx),
            InnerProjection::Seated { seat } => seat.poll_frame(cx),
        };
        if let Some(absent) = this.absent {
            absent.waits(polled.is_pending());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Http1 { body } => body.is_end_stream(),
            Inner::Http2 { body } => body.is_end_stream(),
            Inner::Seated { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Http1 { body } => body.size_hint(),
            Inner::Http2 { body } => body.size_hint(),
            Inner::Seated { .. } => SizeHint::default(),
        }
    }
}
