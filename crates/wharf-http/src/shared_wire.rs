//! [`SharedWire`]: one wire in several hands.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::Wire;

/// The wire as the codec, the service and the driver share it.
///
/// The codec owns it until the end or an upgrade, the service tells it what was answered, the driver
/// decides. HTTP/1 does all three in one task until an upgrade, and HTTP/2's streams do not touch it,
/// so the lock is never contended there.
pub(crate) struct SharedWire<W>(Arc<Mutex<W>>);

impl<W> SharedWire<W> {
    pub(crate) fn new(wire: W) -> Self {
        Self(Arc::new(Mutex::new(wire)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, W> {
        // The facts stay true whatever panicked while they were written; the driver ends the rest.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wire itself, if nobody else shares it.
    pub(crate) fn into_inner(self) -> Option<W> {
        Arc::into_inner(self.0)
            .map(|wire| wire.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// A view of the wire that does not keep the connection open.
    pub(crate) fn downgrade(&self) -> Weak<Mutex<W>> {
        Arc::downgrade(&self.0)
    }
}

impl<W> Clone for SharedWire<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Wire> AsyncRead for SharedWire<W> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.lock().poll_read(cx, buf)
    }
}

impl<W: Wire> AsyncWrite for SharedWire<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().io().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_shutdown(cx)
    }
}
