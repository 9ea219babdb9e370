//! [`UpstreamBody`]: the body of an upstream's answer on its way to a client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::fields::end_in_trailers;
use crate::config::FieldChanges;

pin_project! {
    /// The body of an upstream's answer on its way to a client: as it comes, with the trailers that may
    /// pass.
    #[derive(Debug)]
    pub(super) struct UpstreamBody<B> {
        #[pin]
        inner: B,
        // What the route says of fields, if it says anything.
        changes: Option<Arc<FieldChanges>>,
    }
}

impl<B> UpstreamBody<B> {
    /// The same body, on its way.
    pub(super) fn new(inner: B, changes: &Arc<FieldChanges>) -> Self {
        Self {
            inner,
            changes: changes.heeded(),
        }
    }
}

impl<B: Body<Data = Bytes>> Body for UpstreamBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let polled = this.inner.poll_frame(cx);
        polled.map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                end_in_trailers(trailers);
                if let Some(changes) = this.changes {
                    changes.withhold(trailers);
                }
            }
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
