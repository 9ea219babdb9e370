//! [`Tracked`]: bytes that own their guard, and are counted.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::Connection;
use crate::guard::ConnectionGuard;
use crate::handle::ConnectionHandle;
use crate::pool::Pool;

pin_project! {
    /// An IO object that holds the slot of its connection and counts its bytes.
    ///
    /// The fields are dropped in order: the socket is closed before its slot is given back, so the
    /// pool never counts fewer connections than the kernel.
    pub struct Tracked<Io, C: Connection = ()> {
        #[pin]
        io: Io,
        pool: Option<Pool<C>>,
        guard: ConnectionGuard<C>,
    }
}

impl<Io, C: Connection> Tracked<Io, C> {
    /// Gives `io` the slot behind `guard`.
    pub fn new(io: Io, guard: ConnectionGuard<C>) -> Self {
        let pool = guard.as_handle().pool();
        Self { io, pool, guard }
    }

    /// The handle of the connection.
    pub fn handle(&self) -> &ConnectionHandle<C> {
        self.guard.as_handle()
    }

    /// The bytes beneath.
    pub fn get_ref(&self) -> &Io {
        &self.io
    }

    /// The bytes beneath. What is read and written there is not counted.
    pub fn get_mut(&mut self) -> &mut Io {
        &mut self.io
    }

    /// The bytes and the slot, apart: to go on in another layer that keeps both.
    pub fn into_parts(self) -> (Io, ConnectionGuard<C>) {
        (self.io, self.guard)
    }

    /// Looks again which pool the connection is in, after it has moved: bytes are counted there.
    pub fn moved(&mut self) {
        self.pool = self.handle().pool();
    }

    fn count_received(&self, bytes: usize) {
        self.handle().received(bytes);
        if let Some(pool) = &self.pool {
            pool.received(bytes);
        }
    }

    fn count_sent(&self, bytes: usize) {
        self.handle().sent(bytes);
        if let Some(pool) = &self.pool {
            pool.sent(bytes);
        }
    }
}

impl<Io: AsyncRead, C: Connection> AsyncRead for Tracked<Io, C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.as_mut().project().io.poll_read(cx, buf))?;
        self.count_received(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite, C: Connection> AsyncWrite for Tracked<Io, C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.as_mut().project().io.poll_write(cx, buf))?;
        self.count_sent(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.as_mut().project().io.poll_write_vectored(cx, bufs))?;
        self.count_sent(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_shutdown(cx)
    }
}

impl<Io: fmt::Debug, C: Connection> fmt::Debug for Tracked<Io, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked")
            .field("io", &self.io)
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}
