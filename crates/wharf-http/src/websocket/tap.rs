//! [`Tap`]: the bytes of one session, between the socket and its handler.
//!
//! The handler reads and writes as if it had the socket. What it reads has gone through the
//! [`Session`], which keeps what is ours; between two of its frames we say what is to be said. Its
//! task and the driver's use the same socket, and only one of them can wait for each direction of it:
//! whoever finds that the way is free wakes the other.

mod driver;
mod handler;
mod own;
mod speech;

use std::io;
use std::task::Waker;

use tokio::io::{AsyncRead, AsyncWrite};
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
