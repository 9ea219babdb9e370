//! Callers that announce what they do not send.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::BoxError;

/// A body that announces a message of so many bytes; then nothing comes, not even its end.
#[derive(Debug)]
pub struct Announced(Option<u32>);

impl Announced {
    /// It announces a message of `length` bytes.
    pub const fn new(length: u32) -> Self {
        Self(Some(length))
    }
}

impl Body for Announced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(length) = self.0.take() else {
            return Poll::Pending;
        };
        let prefix = [&[0][..], &length.to_be_bytes()].concat();
        Poll::Ready(Some(Ok(Frame::data(prefix.into()))))
    }
}
