//! [`Seat`]: a stream that asks to become a session, until its handler has decided.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::oneshot;

use super::port::Port;
use crate::app::BoxError;
use crate::http2::Upload;

/// A stream of HTTP/2 that asks to become a session (RFC 8441), until its handler has decided. What the
/// client sends is the body of its request for all but a handler of our own.
pub(crate) struct Seat(Mutex<Inner>);

struct Inner {
    upload: Option<Upload>,
    /// Where the session goes that was accepted.
    accepted: Option<oneshot::Sender<Arc<dyn Port>>>,
}

impl Seat {
    pub(crate) fn new(upload: Upload) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            upload: Some(upload),
            accepted: None,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each of its fields is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handler of our own accepts, and waits for the session.
    pub(super) fn accept(&self) -> oneshot::Receiver<Arc<dyn Port>> {
        let (sender, receiver) = oneshot::channel();
        self.inner().accepted = Some(sender);
        receiver
    }

    /// What the session is made of, if a handler of our own has accepted it.
    pub(crate) fn take_accepted(&self) -> Option<(Upload, oneshot::Sender<Arc<dyn Port>>)> {
        let mut inner = self.inner();
        let sender = inner.accepted.take()?;
        Some((inner.upload.take()?, sender))
    }

    /// As [`http_body::Body`] has it.
    pub(crate) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.inner().upload {
            Some(upload) => upload.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").finish_non_exhaustive()
    }
}
