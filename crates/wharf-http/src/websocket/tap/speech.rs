//! What is ours to send: words between the frames, and the messages of a handler of our own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use wharf_pool::Timestamp;

use super::{Flush, Line, Tap, Way};

impl Tap {
    /// Sends what we have to say, as far as there is a place for it, and the messages of a handler of
    /// our own.
    pub(super) fn speak<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        now: Timestamp,
    ) -> Poll<io::Result<()>> {
        let spoken = self.poll_speak(io, cx, now);
        self.way = if spoken.is_pending() {
            Way::Blocked
        } else {
            Way::Free
        };
        spoken
    }

    fn poll_speak<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        now: Timestamp,
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.words.is_empty() {
                let written = ready!(Pin::new(&mut *io).poll_write(cx, &self.words));
                match written {
                    Ok(0) => return self.failed(io::ErrorKind::WriteZero.into()),
                    Ok(n) => drop(self.words.drain(..n)),
                    Err(error) => return self.failed(error),
                }
                self.flush = Flush::Owed;
            }
            ready!(self.finish_message(io, cx, now))?;
            if let Some(words) = self.session.next_word(self.waiting(), now) {
                self.words = words;
            } else if self.has_unsent() && self.session.is_at_boundary() {
                ready!(self.send_messages(io, cx, now))?;
            } else {
                break;
            }
        }
        self.words = Vec::new();
        if self.flush == Flush::Owed {
            if let Err(error) = ready!(Pin::new(io).poll_flush(cx)) {
                return self.failed(error);
            }
            self.flush = Flush::Done;
        }
        Poll::Ready(Ok(()))
    }

    /// The socket does not take it: the session ends.
    pub(super) fn failed(&mut self, error: io::Error) -> Poll<io::Result<()>> {
        self.error.get_or_insert(error.kind());
        Poll::Ready(Err(error))
    }
}
