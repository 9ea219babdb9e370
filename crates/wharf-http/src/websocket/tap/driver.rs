//! What the driver does with the bytes of a session.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;
use wharf_pool::Timestamp;

use super::{CHUNK, Ended, Handler, Line, MOST_AHEAD, Reach, Tap, Way};

impl Tap {
    /// Whether the driver has something to do: to say, to read, to end, or a deadline to keep.
    pub(crate) fn wants_driver(&mut self) -> bool {
        let waits = self.session.waits();
        let more = waits.is_more_than(std::mem::replace(&mut self.known, waits));
        more || self.session.has_word()
            || self.has_unsent() && self.way == Way::Free
            || self.session.ending_since().is_some()
            || self.has_client_left()
            || self.error.is_some()
    }

    /// Says what is to be said, reads where the handler does not, and looks whether the session is
    /// over. Whom to wake is left in the tap.
    pub(crate) fn poll_end<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        now: Timestamp,
    ) -> Poll<Ended> {
        if self.has_client_left() {
            return Poll::Ready(Ended::PeerGone);
        }
        let spoken = self.speak(io, cx, now);
        let alone = self.handler == Handler::Gone;
        if alone || self.session.has_said_goodbye() || self.session.is_deaf() {
            self.read_ahead(io, cx, now);
        }
        if let Some(error) = self.error {
            return Poll::Ready(Ended::Failed(error));
        }
        if alone && self.words.is_empty() && self.session.is_cut_short() {
            return Poll::Ready(Ended::CutShort);
        }
        if self.session.is_over() && spoken.is_ready() {
            return Poll::Ready(Ended::Closed);
        }
        if self.has_client_left() {
            return Poll::Ready(Ended::PeerGone);
        }
        Poll::Pending
    }

    /// Those who wait for what the driver has done.
    pub(crate) fn take_waiting(&mut self) -> [Option<Waker>; 2] {
        let readable = !self.stash.is_empty() || self.has_client_left() || self.session.is_deaf();
        let writable = self.takes_more() || self.reach == Reach::Cut;
        let reader = self.reader.take_if(|_| readable);
        let writer = self.writer.take_if(|_| writable);
        [reader, writer]
    }

    /// Looks, when the client seems to be silent, whether only the handler does not listen.
    pub(crate) fn is_silent<I: Line + ?Sized>(&mut self, io: &mut I, now: Timestamp) -> bool {
        if self.stash.len() >= MOST_AHEAD {
            self.session.excuse(now);
            return false;
        }
        let mut chunk = [0; CHUNK];
        let mut chunk = ReadBuf::new(&mut chunk);
        // Nobody has to be told: if nothing is there, this is the end.
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(io).poll_read(&mut cx, &mut chunk) {
            Poll::Pending => return true,
            Poll::Ready(Ok(())) if chunk.filled().is_empty() => self.closed_by_client(now),
            Poll::Ready(Ok(())) => self.keep_ahead(chunk.filled(), now),
            Poll::Ready(Err(error)) => {
                self.error.get_or_insert(error.kind());
            }
        }
        false
    }

    /// Both directions fail from now on, but what is kept for the handler can be read.
    pub(crate) fn cut(&mut self) -> [Option<Waker>; 2] {
        self.reach = Reach::Cut;
        [self.reader.take(), self.writer.take()]
    }

    /// Whether something of ours is still to be sent.
    pub(crate) fn is_speaking(&self) -> bool {
        self.is_held_up() || self.session.has_word() || self.has_unsent()
    }

    /// Whether something of ours is on its way and the socket does not take it.
    pub(crate) fn is_held_up(&self) -> bool {
        self.way == Way::Blocked
    }

    /// Reads in the handler's place until there is nothing more for now.
    fn read_ahead<I: Line + ?Sized>(&mut self, io: &mut I, cx: &mut Context<'_>, now: Timestamp) {
        let mut chunk = [0; CHUNK];
        while !self.has_client_left() && !self.session.is_heard_out() {
            let mut chunk = ReadBuf::new(&mut chunk);
            match Pin::new(&mut *io).poll_read(cx, &mut chunk) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if chunk.filled().is_empty() => self.closed_by_client(now),
                Poll::Ready(Ok(())) => self.keep_ahead(chunk.filled(), now),
                Poll::Ready(Err(error)) => {
                    self.error.get_or_insert(error.kind());
                    return;
                }
            }
        }
    }
}
