//! Bodies of the applications that the binary brings.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use wharf_http::BoxError;

/// A body that is either all there or an axum one; the first kind costs no allocation.
#[derive(Debug)]
pub(crate) enum AppBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// Whatever a handler made.
    Streamed(Body),
}

impl AppBody {
    /// A body of these bytes.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }

    /// No body.
    pub(crate) fn none() -> Self {
        Self::Whole(None)
    }

    /// A body that is made as it goes.
    pub(crate) fn streamed<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self::Streamed(Body::new(body))
    }
}

impl HttpBody for AppBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

/// So many bytes, in pieces that are never copied.
#[derive(Debug)]
pub(super) struct Repeated {
    left: u64,
}

/// One piece: large enough to be cheap, small enough to see a slow reader early.
static PIECE: [u8; 64 << 10] = [b'w'; 64 << 10];

impl Repeated {
    /// A body of `n` bytes.
    pub(super) fn new(n: u64) -> Self {
        Self { left: n }
    }
}

impl HttpBody for Repeated {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let size = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(PIECE.len());
        self.left -= size as u64;
        let piece = (size > 0).then(|| Ok(Frame::data(Bytes::from_static(&PIECE[..size]))));
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
