//! Sessions whose handler is wharf's own: it sends messages, and the frames are made here.

use std::io;
use std::task::{Context, Poll};

use wharf_pool::{CloseReason, Timestamp};

use super::{Flush, Line, Reach, Tap, Way, keep};
use crate::websocket::outgoing::{Frame, Outgoing};
use crate::websocket::send_queue::{Queued, SendQueue};
use crate::websocket::session::Waiting;

/// What the handler does.
impl Tap {
    /// From now on the handler sends messages, and no bytes.
    pub(crate) fn adopt(&mut self) {
        let settings = self.session.settings.own();
        let queue = SendQueue::new(settings.send_queue.get(), settings.slow_consumer);
        self.outgoing = Some(Box::new(Outgoing::new(queue)));
    }

    /// Takes a message when there is room for it. Ready with whether it was taken: not after the end
    /// has begun.
    pub(crate) fn poll_send<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        frame: &mut Option<Frame>,
        now: Timestamp,
    ) -> Poll<bool> {
        let is_ending = self.is_ending();
        let (Some(outgoing), Some(message)) = (&mut self.outgoing, frame.as_ref()) else {
            return Poll::Ready(false);
        };
        if is_ending || outgoing.is_closed() {
            return Poll::Ready(false);
        }
        if !message.is_close() && !outgoing.has_room(message) {
            keep(&mut self.writer, cx.waker());
            return Poll::Pending;
        }
        let taken = frame.take().is_some_and(|frame| outgoing.put(frame));
        self.send_now(io, cx, now);
        Poll::Ready(taken)
    }

    /// Ready when a message of some size would be taken, or none ever again.
    pub(crate) fn poll_room(&mut self, cx: &Context<'_>) -> Poll<bool> {
        let is_ending = self.is_ending();
        match &self.outgoing {
            Some(outgoing) if !is_ending && !outgoing.is_closed() => {
                if outgoing.has_any_room() {
                    return Poll::Ready(true);
                }
            }
            Some(_) | None => return Poll::Ready(false),
        }
        keep(&mut self.writer, cx.waker());
        Poll::Pending
    }

    /// Takes a message for which there was room, or the last; returns whether that was before the end
    /// has begun.
    pub(crate) fn put(&mut self, frame: Frame) -> bool {
        let is_ending = self.is_ending();
        let outgoing = self.outgoing.as_mut().filter(|_| !is_ending);
        outgoing.is_some_and(|outgoing| outgoing.put(frame))
    }

    /// The client has said Close, and is answered with the same, after what waits.
    pub(crate) fn answer_close<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        answer: Option<Frame>,
        now: Timestamp,
    ) {
        if let (Some(outgoing), Some(answer)) = (&mut self.outgoing, answer) {
            outgoing.put(answer);
            self.send_now(io, cx, now);
        }
    }

    /// Ready when nothing waits any more; with whether that is because all of it has gone.
    pub(crate) fn poll_sent<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        now: Timestamp,
    ) -> Poll<bool> {
        self.send_now(io, cx, now);
        if self.reach == Reach::Cut || self.error.is_some() || self.session.is_hasty() {
            return Poll::Ready(false);
        }
        if self.has_unsent() || self.is_held_up() {
            keep(&mut self.writer, cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(true)
    }

    /// Takes a message, or leaves a client that is too slow for it.
    pub(crate) fn push(&mut self, frame: Frame, now: Timestamp) -> Queued {
        if self.is_ending() {
            return Queued::Ended;
        }
        let Some(outgoing) = &mut self.outgoing else {
            return Queued::Ended;
        };
        let queued = outgoing.push(frame);
        if queued == Queued::TooSlow {
            self.session.leave(CloseReason::SlowConsumer, now);
        }
        queued
    }

    /// In the handler's own time, unless the driver waits for the way already: only one can.
    fn send_now<I: Line + ?Sized>(&mut self, io: &mut I, cx: &mut Context<'_>, now: Timestamp) {
        if self.way == Way::Free && self.reach != Reach::Cut {
            // An error is kept for the driver, which looks after what is not sent now.
            drop(self.speak(io, cx, now));
        }
    }

    fn is_ending(&self) -> bool {
        self.session.ending_since().is_some() || self.reach == Reach::Cut || self.error.is_some()
    }
}

/// What is sent.
impl Tap {
    /// Whether messages wait.
    pub(super) fn has_unsent(&self) -> bool {
        let outgoing = self.outgoing.as_ref();
        outgoing.is_some_and(|it| !it.is_empty()) && !self.session.is_mute()
    }

    /// Whether whoever waits to send may go on.
    pub(super) fn takes_more(&self) -> bool {
        match &self.outgoing {
            Some(outgoing) => outgoing.has_any_room() || self.is_ending(),
            None => self.words.is_empty(),
        }
    }

    pub(super) fn waiting(&self) -> Waiting {
        if self.has_unsent() {
            Waiting::Messages
        } else {
            Waiting::Nothing
        }
    }

    /// Sends the rest of a message that has begun to go: nothing can be said within it.
    pub(super) fn finish_message<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        now: Timestamp,
    ) -> Poll<io::Result<()>> {
        let Some(outgoing) = &mut self.outgoing else {
            return Poll::Ready(Ok(()));
        };
        if self.session.is_hasty() {
            outgoing.discard();
        }
        if !outgoing.is_amid() {
            return Poll::Ready(Ok(()));
        }
        self.write(io, cx, true, now)
    }

    /// Sends what waits.
    pub(super) fn send_messages<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        now: Timestamp,
    ) -> Poll<io::Result<()>> {
        self.write(io, cx, false, now)
    }

    fn write<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        to_boundary: bool,
        now: Timestamp,
    ) -> Poll<io::Result<()>> {
        let Some(outgoing) = &mut self.outgoing else {
            return Poll::Ready(Ok(()));
        };
        let before = outgoing.total();
        let written = outgoing.poll_write(io, cx, to_boundary);
        if outgoing.total() != before {
            self.flush = Flush::Owed;
            self.session.said(now);
        }
        if outgoing.has_closed() {
            self.session.said_close(now);
        }
        match written {
            Poll::Ready(Err(error)) => self.failed(error),
            Poll::Ready(Ok(())) | Poll::Pending => written,
        }
    }
}
