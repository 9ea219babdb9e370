//! [`Tap`]: the bytes of one session, between the socket and its handler.
//!
//! The handler reads and writes as if it had the socket. What it reads has gone through the
//! [`Session`], which keeps what is ours; between two of its frames we say what is to be said. Its
//! task and the driver's use the same socket, and only one of them can wait for each direction of it:
//! whoever finds that the way is free wakes the other.

mod own;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wharf_pool::Timestamp;

use super::outgoing::Outgoing;
use super::session::{Session, Waits};

/// How much is kept for a handler that does not read while we do.
const MOST_AHEAD: usize = 16 * 1024;

/// How much we read at once, on the stack.
const CHUNK: usize = 4096;

/// What the bytes of a session come and go by: a connection, or a stream of one.
pub(crate) trait Line: AsyncRead + AsyncWrite + Unpin {}

impl<I: AsyncRead + AsyncWrite + Unpin> Line for I {}

/// The bytes of one session.
#[derive(Debug)]
pub(crate) struct Tap {
    pub(crate) session: Session,
    /// Ours, and not yet sent: nothing of the handler's goes before it.
    words: Vec<u8>,
    flush: Flush,
    way: Way,
    /// The messages of a handler of our own; others send bytes.
    outgoing: Option<Box<Outgoing>>,
    /// The handler's, and not yet read.
    stash: Vec<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    handler: Handler,
    error: Option<io::ErrorKind>,
    reach: Reach,
    /// What the driver knows that is waited for.
    known: Waits,
}

/// Whether what was sent may still be kept somewhere on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    Done,
    Owed,
}

/// The way to the client, for what is ours to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Free,
    /// The driver waits for it.
    Blocked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handler {
    Here,
    /// It has let the bytes go.
    Gone,
}

/// How far the end of the bytes has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Open,
    /// The client has closed its direction.
    ClientLeft,
    /// Both directions fail.
    Cut,
}

/// How a session has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Both sides have said Close.
    Closed,
    /// The client has closed its direction.
    PeerGone,
    /// The socket failed.
    Failed(io::ErrorKind),
    /// The handler has left in the middle of a frame.
    CutShort,
}

/// What the handler does.
impl Tap {
    /// A session that begins; `early` has been received already.
    pub(crate) fn new(session: Session, early: &[u8], now: Timestamp) -> Self {
        let mut tap = Self {
            session,
            words: Vec::new(),
            flush: Flush::Done,
            way: Way::Free,
            outgoing: None,
            stash: Vec::new(),
            reader: None,
            writer: None,
            handler: Handler::Here,
            error: None,
            reach: Reach::Open,
            known: Waits::default(),
        };
        if !early.is_empty() {
            tap.keep_ahead(early, now);
        }
        tap
    }

    /// As [`AsyncRead`] has it.
    pub(crate) fn poll_read<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        now: Timestamp,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.stash.is_empty() {
                self.give(buf);
                return Poll::Ready(Ok(()));
            }
            if self.reach == Reach::Cut || self.session.is_deaf() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            if self.has_client_left() || self.session.is_heard_out() {
                return Poll::Ready(Ok(()));
            }
            if self.session.has_said_goodbye() {
                // The driver reads now, and keeps what is the handler's.
                keep(&mut self.reader, cx.waker());
                return Poll::Pending;
            }
            let before = buf.filled().len();
            match Pin::new(&mut *io).poll_read(cx, buf) {
                Poll::Pending => {
                    keep(&mut self.reader, cx.waker());
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) => self.reader = None,
                Poll::Ready(Err(error)) => {
                    self.error.get_or_insert(error.kind());
                    return Poll::Ready(Err(error));
                }
            }
            if buf.filled().len() == before {
                self.closed_by_client(now);
                return Poll::Ready(Ok(()));
            }
            let passed = self.session.received(&buf.filled()[before..], now);
            buf.set_filled(before + passed.in_place);
            self.stash = passed.behind;
            if passed.in_place > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// As [`AsyncWrite`] has it.
    pub(crate) fn poll_write<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        bytes: &[u8],
        now: Timestamp,
    ) -> Poll<io::Result<usize>> {
        if self.reach == Reach::Cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let spoken = self.speak(io, cx, now);
        if self.session.is_mute() {
            return Poll::Ready(Ok(bytes.len()));
        }
        if spoken.is_pending() {
            keep(&mut self.writer, cx.waker());
        }
        ready!(spoken)?;
        let room = self.session.room(bytes);
        let written = Pin::new(io).poll_write(cx, &bytes[..room]);
        match &written {
            Poll::Pending => keep(&mut self.writer, cx.waker()),
            Poll::Ready(Ok(n)) => self.session.sent(&bytes[..*n], now),
            Poll::Ready(Err(error)) => {
                self.error.get_or_insert(error.kind());
            }
        }
        written
    }

    /// As [`AsyncWrite`] has it.
    pub(crate) fn poll_flush<I: Line + ?Sized>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reach == Reach::Cut {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let flushed = Pin::new(io).poll_flush(cx);
        match &flushed {
            Poll::Pending => keep(&mut self.writer, cx.waker()),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                self.error.get_or_insert(error.kind());
            }
        }
        flushed
    }

    /// The handler has let the bytes go.
    pub(crate) fn handler_left(&mut self, panicked: bool, now: Timestamp) {
        self.handler = Handler::Gone;
        self.session.handler_left(panicked, now);
    }

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

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let given = self.stash.len().min(buf.remaining());
        buf.put_slice(&self.stash[..given]);
        if given == self.stash.len() {
            self.stash = Vec::new();
        } else {
            self.stash.drain(..given);
        }
    }
}

/// What the driver does.
impl Tap {
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

    /// Sends what we have to say, as far as there is a place for it, and the messages of a handler of
    /// our own.
    fn speak<I: Line + ?Sized>(
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

    fn failed(&mut self, error: io::Error) -> Poll<io::Result<()>> {
        self.error.get_or_insert(error.kind());
        Poll::Ready(Err(error))
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

    fn has_client_left(&self) -> bool {
        self.reach >= Reach::ClientLeft
    }

    fn closed_by_client(&mut self, now: Timestamp) {
        self.reach = self.reach.max(Reach::ClientLeft);
        self.session.client_left(now);
    }

    /// What the handler does not take in time is lost to it: the session ends.
    fn keep_ahead(&mut self, bytes: &[u8], now: Timestamp) {
        let passed = self.session.received(bytes, now);
        let wanted = self.handler == Handler::Here && !self.session.is_deaf();
        if wanted && self.stash.len() < MOST_AHEAD {
            self.stash.extend_from_slice(&bytes[..passed.in_place]);
            self.stash.extend_from_slice(&passed.behind);
        }
    }
}

fn keep(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(kept) => kept.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
