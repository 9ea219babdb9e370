//! [`Upload`]: the body of a request on its way, and who is the one that is waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;
use wharf_control::Timestamp;

use crate::body::{BoxError, SendBody};
use crate::clock::Clock;

/// Who owes the next step of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owes {
    /// The caller owes bytes: his time.
    Bytes,
    /// The endpoint owes room for them, since then.
    Room(Timestamp),
    /// The endpoint owes the answer, since then.
    Answer(Timestamp),
}

/// How far the body of a request has come, for whoever times it.
#[derive(Debug)]
pub(crate) struct Progress {
    clock: Clock,
    step: AtomicU8,
    since: AtomicU64,
    failed: AtomicBool,
    ended: Notify,
}

const BYTES: u8 = 0;
const ROOM: u8 = 1;
const ANSWER: u8 = 2;

impl Progress {
    /// Puts an observer into the body of `request`, which is sent from `begun` on.
    pub(crate) fn of(request: &mut Request<SendBody>, clock: Clock, begun: Instant) -> Arc<Self> {
        let whole = request.body().is_end_stream();
        let progress = Arc::new(Self {
            clock,
            step: AtomicU8::new(if whole { ANSWER } else { BYTES }),
            since: AtomicU64::new(clock.at(begun).as_nanos()),
            failed: AtomicBool::new(false),
            ended: Notify::new(),
        });
        if !whole {
            let body = std::mem::take(request.body_mut());
            let upload = Upload {
                body,
                progress: Arc::clone(&progress),
            };
            *request.body_mut() = SendBody::new(upload);
        }
        progress
    }

    pub(crate) fn owes(&self) -> Owes {
        let since = Timestamp::from_nanos(self.since.load(Ordering::Acquire));
        match self.step.load(Ordering::Acquire) {
            BYTES => Owes::Bytes,
            ROOM => Owes::Room(since),
            _ => Owes::Answer(since),
        }
    }

    /// Whether the body itself has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Waits until the whole body was taken.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.ended.notified();
            if let Owes::Answer(_) = self.owes() {
                return;
            }
            ended.await;
        }
    }

    fn step(&self, step: u8) {
        if step != BYTES {
            self.since
                .store(self.clock.now().as_nanos(), Ordering::Release);
        }
        self.step.store(step, Ordering::Release);
        if step == ANSWER {
            self.ended.notify_waiters();
        }
    }
}

/// The body of a request, observed.
struct Upload {
    body: SendBody,
    progress: Arc<Progress>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.progress.step(BYTES);
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Err(_)) = frame {
            self.progress.failed.store(true, Ordering::Release);
        }
        let over = frame.is_none() || self.body.is_end_stream();
        self.progress.step(if over { ANSWER } else { ROOM });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // The codec takes no more of it, whatever is left: the answer is what is waited for.
        if !matches!(self.progress.owes(), Owes::Answer(_)) {
            self.progress.step(ANSWER);
        }
    }
}
