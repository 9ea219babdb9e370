//! [`Upload`]: the body of an HTTP/2 request, with back-pressure to the peer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use wharf_pool::Clock;

use super::stream::Stream;
use crate::app::BoxError;

/// The body of an HTTP/2 request.
pub(crate) struct Upload {
    receiving: RecvStream,
    stream: Arc<Stream>,
    clock: Arc<Clock>,
    /// How many bytes may still come.
    room: Option<u64>,
    /// What `content-length` announced and is still to come.
    expected: Option<u64>,
    excess: Arc<AtomicBool>,
    data_ended: bool,
}

/// The body is larger than allowed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request body is too large")]
struct TooLarge;

impl Upload {
    pub(super) fn new(
        receiving: RecvStream,
        stream: Arc<Stream>,
        clock: Arc<Clock>,
        (room, expected): (Option<u64>, Option<u64>),
        excess: Arc<AtomicBool>,
    ) -> Self {
        let data_ended = receiving.is_end_stream();
        Self {
            receiving,
            stream,
            clock,
            room,
            expected,
            excess,
            data_ended,
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.data_ended {
            match self.receiving.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) => return Poll::Ready(Some(self.received(data))),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => {
                    self.data_ended = true;
                    self.stream.received(0, true, self.clock.now());
                }
                Poll::Pending => {
                    self.stream.awaits_body(self.clock.now());
                    return Poll::Pending;
                }
            }
        }
        let trailers: Option<HeaderMap> = ready!(self.receiving.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn received(&mut self, data: Bytes) -> Result<Frame<Bytes>, BoxError> {
        let bytes = data.len();
        // The application has it now: the peer may send as much again. A stream that is gone needs
        // no window.
        self.receiving.flow_control().release_capacity(bytes).ok();
        let end = self.receiving.is_end_stream();
        self.stream.received(bytes, end, self.clock.now());
        self.expected = self.expected.map(|left| left.saturating_sub(bytes as u64));
        if let Some(room) = &mut self.room {
            let Some(left) = room.checked_sub(bytes as u64) else {
                self.excess.store(true, Ordering::Relaxed);
                return Err(TooLarge.into());
            };
            *room = left;
        }
        Ok(Frame::data(data))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.receiving.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.expected {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(expected) => SizeHint::with_exact(expected),
            None => SizeHint::default(),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.stream.body_abandoned();
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").finish_non_exhaustive()
    }
}
