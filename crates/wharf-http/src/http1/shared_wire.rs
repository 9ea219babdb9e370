//! [`SharedWire`]: one wire in three hands.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::Wire;
use crate::transport::Transport;

/// The wire as hyper, the service and the driver share it.
///
/// hyper owns it until the end or an upgrade, the service tells it what was answered, the driver
/// decides. All three run in one task until an upgrade, so the lock is never contended there.
pub(crate) struct SharedWire<T>(Arc<Mutex<Wire<T>>>);

impl<T> SharedWire<T> {
    pub(crate) fn new(wire: Wire<T>) -> Self {
        Self(Arc::new(Mutex::new(wire)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Wire<T>> {
        // The facts stay true whatever panicked while they were written; the driver ends the rest.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wire itself, if nobody else shares it.
    pub(crate) fn into_inner(self) -> Option<Wire<T>> {
        Arc::into_inner(self.0)
            .map(|wire| wire.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// A view of the wire that does not keep the connection open.
    pub(crate) fn downgrade(&self) -> Weak<Mutex<Wire<T>>> {
        Arc::downgrade(&self.0)
    }
}

impl<T> Clone for SharedWire<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Transport> AsyncRead for SharedWire<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.lock().poll_read(cx, buf)
    }
}

impl<T: Transport> AsyncWrite for SharedWire<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_write(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.lock()
            .poll_write(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.lock().io()).poll_flush(cx)
    }

    /// hyper says that it has no more to write. Before an upgrade the driver closes the socket, in
    /// its own order; after one this is the end of our direction.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.lock();
        if wire.is_tunnel() {
            Pin::new(wire.io()).poll_shutdown(cx)
        } else {
            Pin::new(wire.io()).poll_flush(cx)
        }
    }
}
