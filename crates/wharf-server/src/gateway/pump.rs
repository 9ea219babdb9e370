//! [`Pump`]: bytes from one side of a session to the other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::Frames;

/// How much is read at once, on the stack: a session in which nothing happens has no buffer.
const CHUNK: usize = 8 * 1024;

/// One direction of a session: bytes that go by, and where their frames end.
#[derive(Debug, Default)]
pub(super) struct Pump {
    /// Read and not yet taken.
    left: Vec<u8>,
    /// How much of it has gone.
    gone: usize,
    flush: Flush,
    frames: Frames,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flush {
    #[default]
    Done,
    Owed,
}

/// Why nothing more goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// There is nothing more to be read.
    Source,
    /// Nothing more is taken.
    Sink,
}

impl Pump {
    /// Moves what can be moved. Ready when nothing more can ever be.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut R,
        sink: &mut W,
    ) -> Poll<Stop>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            if ready!(self.poll_left(cx, sink)).is_err() {
                return Poll::Ready(Stop::Sink);
            }
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            match Pin::new(&mut *source).poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(())) if !chunk.filled().is_empty() => {}
                Poll::Ready(Ok(()) | Err(_)) => return Poll::Ready(Stop::Source),
                Poll::Pending => {
                    if ready!(self.poll_flush(cx, sink)).is_err() {
                        return Poll::Ready(Stop::Sink);
                    }
                    return Poll::Pending;
                }
            }
            let bytes = chunk.filled();
            self.frames.pass(bytes);
            self.flush = Flush::Owed;
            match Pin::new(&mut *sink).poll_write(cx, bytes) {
                Poll::Ready(Ok(taken)) if taken == bytes.len() => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Stop::Sink),
                Poll::Ready(Ok(taken)) => self.left = bytes[taken..].to_vec(),
                Poll::Pending => self.left = bytes.to_vec(),
            }
        }
    }

    /// Whether the side that was read has stopped between two frames, and without a Close.
    pub(super) fn has_stopped_short(&self) -> bool {
        self.frames.is_at_boundary() && !self.frames.is_closed()
    }

    fn poll_left<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.gone < self.left.len() {
            match ready!(Pin::new(&mut *sink).poll_write(cx, &self.left[self.gone..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.gone += taken,
            }
        }
        (self.left, self.gone) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }

    fn poll_flush<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut W,
    ) -> Poll<io::Result<()>> {
        if self.flush == Flush::Owed {
            ready!(Pin::new(sink).poll_flush(cx))?;
            self.flush = Flush::Done;
        }
        Poll::Ready(Ok(()))
    }
}
