//! [`Lent`]: the wire as the codec has it, and after an upgrade the handler.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{SharedWire, Wire};
use crate::transport::Transport;
use crate::websocket::{Port, Visit};
use crate::wire::Wire as _;

/// The wire as the codec has it, and after an upgrade the handler: its drop tells the driver that they
/// have let the bytes go.
pub(crate) struct Lent<T: Transport> {
    wire: SharedWire<T>,
    /// Whether all that was written has gone: the codec flushes after each answer.
    is_flushed: bool,
}

impl<T: Transport> Lent<T> {
    pub(crate) fn new(wire: SharedWire<T>) -> Self {
        Self {
            wire,
            is_flushed: false,
        }
    }

    /// What the codec has given away after an upgrade, for a handler of our own, with what it had read
    /// ahead.
    pub(crate) fn claim(upgraded: Upgraded) -> Option<(Arc<dyn Port>, Bytes)> {
        let parts = upgraded.downcast::<TokioIo<Self>>().ok()?;
        Some((Arc::new(parts.io.into_inner()), parts.read_buf))
    }

    fn wire(self: Pin<&mut Self>) -> Pin<&mut SharedWire<T>> {
        Pin::new(&mut self.get_mut().wire)
    }

    fn write(
        mut self: Pin<&mut Self>,
        write: impl FnOnce(&mut Wire<T>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let (written, is_flushed) = {
            let mut wire = self.wire.lock();
            let written = write(&mut wire);
            let has_gone = matches!(written, Poll::Ready(Ok(_)));
            (written, has_gone && !wire.is_to_be_flushed())
        };
        self.is_flushed = is_flushed;
        written
    }
}

impl<T: Transport> Port for Lent<T> {
    fn visit(&self, visit: Visit<'_>) {
        self.wire.lock().visit_session(visit);
    }
}

impl<T: Transport> AsyncRead for Lent<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire().poll_read(cx, buf)
    }
}

impl<T: Transport> AsyncWrite for Lent<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(|wire| wire.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|wire| wire.poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_flushed {
            return Poll::Ready(Ok(()));
        }
        self.wire().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire().poll_shutdown(cx)
    }
}

impl<T: Transport> Drop for Lent<T> {
    fn drop(&mut self) {
        self.wire.lock().let_go(std::thread::panicking());
    }
}
