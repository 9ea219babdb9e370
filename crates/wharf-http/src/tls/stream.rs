//! [`TlsStream`]: a connection's bytes, after the handshake.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream as Library;

use super::counted::Counted;
use crate::transport::Transport;

/// A connection's bytes, after the handshake. On the heap: it is moved like a pointer.
///
/// `poll_shutdown` sends `close_notify`, then closes our direction of the transport; it waits as
/// long as the peer takes nothing, so callers bound it. `poll_flush` too waits for the socket: what
/// was written may be held here, up to 64 KiB, until it is flushed.
///
/// A peer that closes without `close_notify`, as many do, is at its end like any other: HTTP and
/// WebSocket tell by themselves when a message is cut short.
pub struct TlsStream<T>(Box<Inner<T>>);

struct Inner<T> {
    library: Library<Counted<T>>,
    /// What was written here since nothing was held.
    written: u64,
    /// What the transport had taken then.
    sent: u64,
}

impl<T> TlsStream<T> {
    pub(super) fn new(library: Library<Counted<T>>) -> Self {
        Self(Box::new(Inner {
            library,
            written: 0,
            sent: 0,
        }))
    }

    /// The transport beneath. What is read or written there breaks TLS.
    pub fn get_ref(&self) -> &T {
        &self.counted().io
    }

    fn counted(&self) -> &Counted<T> {
        self.0.library.get_ref().0
    }

    fn holds_records(&self) -> bool {
        self.0.library.get_ref().1.wants_write()
    }

    /// How many of the bytes that were written are held here, give or take what TLS adds to them.
    fn held(&self) -> u64 {
        if !self.holds_records() {
            return 0;
        }
        let gone = self.counted().sent - self.0.sent;
        self.0.written.saturating_sub(gone)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.0.library).poll_read(cx, buf)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> TlsStream<T> {
    /// Writes, and knows afterwards how much of it the transport has not seen.
    fn poll_write_with(
        &mut self,
        write: impl FnOnce(Pin<&mut Library<Counted<T>>>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if !self.holds_records() {
            self.0.written = 0;
            self.0.sent = self.counted().sent;
        }
        let written = ready!(write(Pin::new(&mut self.0.library)))?;
        self.0.written += written as u64;
        Poll::Ready(Ok(written))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(|library| library.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(|library| library.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.library.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.library).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.library).poll_shutdown(cx)
    }
}

impl<T: Transport> Transport for TlsStream<T> {
    fn reset_on_drop(&self) {
        self.get_ref().reset_on_drop();
    }

    fn unacknowledged(&self) -> Option<u64> {
        let below = self.get_ref().unacknowledged()?;
        Some(below + self.held())
    }

    fn holds(&self) -> bool {
        self.holds_records() || self.get_ref().holds()
    }

    fn spare_the_living(&self, user_timeout: Duration) {
        self.get_ref().spare_the_living(user_timeout);
    }
}

impl<T: fmt::Debug> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsStream").field(self.get_ref()).finish()
    }
}
