//! [`Pieces`]: a body of so many bytes, in pieces that are never copied, as wharf's demo makes it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

static PIECE: [u8; 64 << 10] = [b'w'; 64 << 10];

/// So many bytes.
#[derive(Debug)]
pub struct Pieces {
    left: u64,
}

impl Pieces {
    /// As many as the part of a target behind `n=` says.
    #[must_use]
    pub fn asked(query: Option<&str>) -> Self {
        let number = query.and_then(|query| query.strip_prefix("n=")?.parse().ok());
        Self {
            left: number.unwrap_or(0),
        }
    }

    /// The next piece.
    pub fn piece(&mut self) -> Option<Bytes> {
        let size = usize::try_from(self.left).unwrap_or(usize::MAX);
        let size = size.min(PIECE.len());
        self.left -= size as u64;
        (size > 0).then(|| Bytes::from_static(&PIECE[..size]))
    }

    /// How many are left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.left
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.piece().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
