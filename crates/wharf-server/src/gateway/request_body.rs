//! [`ClientBody`]: the body of a request on its way to an upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use wharf_http::BoxError;

use super::fields::end_in_trailers;
use crate::config::FieldChanges;

/// The body of a request on its way to an upstream: as it comes, and no more of it than is allowed.
pub(super) struct ClientBody<B> {
    inner: B,
    /// How many bytes may still come.
    room: Option<u64>,
    excess: Excess,
    /// What the route says of fields, if it says anything.
    changes: Option<Arc<FieldChanges>>,
}

/// Whether a body was larger than allowed, for whoever waits for the answer to it. Nothing where it can be of
/// any size.
#[derive(Clone, Debug, Default)]
pub(super) struct Excess(Option<Arc<AtomicBool>>);

/// The body is larger than the route allows.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request body is larger than the route allows")]
struct TooLarge;

impl<B: Body> ClientBody<B> {
    /// The body of a request, of at most so many bytes.
    pub(super) fn new(inner: B, most: Option<u64>, changes: &Arc<FieldChanges>) -> (Self, Excess) {
        let excess = Excess(most.map(|_| Arc::default()));
        let body = Self {
            inner,
            room: most,
            excess: excess.clone(),
            changes: changes.heeded(),
        };
        (body, excess)
    }
}

impl Excess {
    /// Whether it was.
    pub(super) fn is_there(&self) -> bool {
        self.0.as_ref().is_some_and(|it| it.load(Ordering::Acquire))
    }

    fn tell(&self) {
        if let Some(excess) = &self.0 {
            excess.store(true, Ordering::Release);
        }
    }
}

impl<B> Body for ClientBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let mut frame = frame.map_err(Into::into)?;
        if let (Some(room), Some(data)) = (&mut this.room, frame.data_ref()) {
            let Some(left) = room.checked_sub(data.len() as u64) else {
                this.excess.tell();
                return Poll::Ready(Some(Err(TooLarge.into())));
            };
            *room = left;
        }
        if let Some(trailers) = frame.trailers_mut() {
            end_in_trailers(trailers);
            if let Some(changes) = &this.changes {
                changes.withhold(trailers);
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    fn streamed(
        frames: Vec<Frame<Bytes>>,
    ) -> StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, BoxError>> + Unpin> {
        StreamBody::new(futures_util::stream::iter(frames.into_iter().map(Ok)))
    }

    #[tokio::test]
    async fn what_is_allowed_passes() {
        let body = Full::new(Bytes::from_static(b"12345"));
        let (body, excess) = ClientBody::new(body, Some(5), &Arc::default());
        assert_eq!(body.size_hint().exact(), Some(5));
        let collected = body.collect().await.unwrap().to_bytes();
        assert_eq!(collected, "12345");
        assert!(!excess.is_there());
    }

    #[tokio::test]
    async fn one_byte_more_is_an_error_that_is_known_for_what_it_is() {
        let pieces = ["123", "456"].map(|it| Frame::data(Bytes::from_static(it.as_bytes())));
        let (body, excess) = ClientBody::new(streamed(pieces.into()), Some(5), &Arc::default());
        assert!(body.collect().await.is_err());
        assert!(excess.is_there());
    }

    #[tokio::test]
    async fn trailers_pass_but_for_what_no_trailer_may_say() {
        let mut trailers = HeaderMap::new();
        for name in [
            "checksum",
            "content-length",
            "x-wharf-a",
            "host",
            "x-user",
            "x-role",
        ] {
            trailers.insert(name, "1".parse().unwrap());
        }
        let frames = vec![
            Frame::data(Bytes::from_static(b"1")),
            Frame::trailers(trailers),
        ];
        let changes = Arc::new(FieldChanges {
            set: vec![(
                HeaderName::from_static("x-user"),
                HeaderValue::from_static("a"),
            )],
            remove: vec![HeaderName::from_static("x-role")],
        });
        let (body, _) = ClientBody::new(streamed(frames), None, &changes);
        let collected = body.collect().await.unwrap();
        let names: Vec<_> = collected.trailers().unwrap().keys().collect();
        assert_eq!(names, ["checksum"]);
    }
}
