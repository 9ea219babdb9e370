//! What a handler does with the bytes of its session.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use wharf_pool::Timestamp;

use super::{Handler, Line, Reach, Tap, keep};

impl Tap {
    /// As [`AsyncRead`](tokio::io::AsyncRead) has it.
    pub(crate) fn poll_read<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        now: Timestamp,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.stash.is_empty() {
                self.give(buf);
                return Poll::Ready(Ok(()));
            }
            if self.reach == Reach::Cut || self.session.is_deaf() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            if self.has_client_left() || self.session.is_heard_out() {
                return Poll::Ready(Ok(()));
            }
            if self.session.has_said_goodbye() {
                // The driver reads now, and keeps what is the handler's.
                keep(&mut self.reader, cx.waker());
                return Poll::Pending;
            }
            let before = buf.filled().len();
            match Pin::new(&mut *io).poll_read(cx, buf) {
                Poll::Pending => {
                    keep(&mut self.reader, cx.waker());
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) => self.reader = None,
                Poll::Ready(Err(error)) => {
                    self.error.get_or_insert(error.kind());
                    return Poll::Ready(Err(error));
                }
            }
            if buf.filled().len() == before {
                self.closed_by_client(now);
                return Poll::Ready(Ok(()));
            }
            let passed = self.session.received(&buf.filled()[before..], now);
            buf.set_filled(before + passed.in_place);
            self.stash = passed.behind;
            if passed.in_place > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// As [`AsyncWrite`](tokio::io::AsyncWrite) has it.
    pub(crate) fn poll_write<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        bytes: &[u8],
        now: Timestamp,
    ) -> Poll<io::Result<usize>> {
        if self.reach == Reach::Cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let spoken = self.speak(io, cx, now);
        if self.session.is_mute() {
            return Poll::Ready(Ok(bytes.len()));
        }
        if spoken.is_pending() {
            keep(&mut self.writer, cx.waker());
        }
        ready!(spoken)?;
        let room = self.session.room(bytes);
        let written = Pin::new(io).poll_write(cx, &bytes[..room]);
        match &written {
            Poll::Pending => keep(&mut self.writer, cx.waker()),
            Poll::Ready(Ok(n)) => self.session.sent(&bytes[..*n], now),
            Poll::Ready(Err(error)) => {
                self.error.get_or_insert(error.kind());
            }
        }
        written
    }

    /// As [`AsyncWrite`](tokio::io::AsyncWrite) has it.
    pub(crate) fn poll_flush<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reach == Reach::Cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let flushed = Pin::new(io).poll_flush(cx);
        match &flushed {
            Poll::Pending => keep(&mut self.writer, cx.waker()),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                self.error.get_or_insert(error.kind());
            }
        }
        flushed
    }

    /// The handler has let the bytes go.
    pub(crate) fn handler_left(&mut self, panicked: bool, now: Timestamp) {
        self.handler = Handler::Gone;
        self.session.handler_left(panicked, now);
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let given = self.stash.len().min(buf.remaining());
        buf.put_slice(&self.stash[..given]);
        if given == self.stash.len() {
            self.stash = Vec::new();
        } else {
            self.stash.drain(..given);
        }
    }
}
