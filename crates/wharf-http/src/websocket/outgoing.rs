//! [`Outgoing`]: the messages of wharf's own handlers, on their way to the client.

use std::io::{self, IoSlice};
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use super::control::MOST;
use super::message::{CloseFrame, Message};
use super::send_queue::{Queued, SendQueue};

/// The messages of one session that wait for their client, as frames.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// On its way, and no part of the queue any more.
    first: Option<Frame>,
    /// How much of the first has gone.
    gone: usize,
    queue: SendQueue<Frame>,
    /// How many bytes have gone.
    total: u64,
    last: Last,
}

/// The handler's Close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Unsaid,
    /// Nothing comes behind it.
    Waits,
    Gone,
}

/// A message as it is sent. The payload is shared: with others, where the message is for many.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    head: [u8; 10],
    head_len: u8,
    payload: Bytes,
}

/// How many frames are written at once.
const AT_ONCE: usize = 16;

impl Outgoing {
    pub(crate) fn new(queue: SendQueue<Frame>) -> Self {
        Self {
            first: None,
            gone: 0,
            queue,
            total: 0,
            last: Last::Unsaid,
        }
    }

    /// Whether one more message need not wait.
    pub(crate) fn has_room(&self, frame: &Frame) -> bool {
        self.first.is_none() || self.queue.has_room(frame.payload.len())
    }

    /// Whether there is room for anything.
    pub(crate) fn has_any_room(&self) -> bool {
        self.first.is_none() || self.queue.has_room(0)
    }

    /// Whether nothing waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether part of a frame has gone.
    pub(crate) const fn is_amid(&self) -> bool {
        self.gone > 0
    }

    /// Whether the handler has said its last.
    pub(crate) fn is_closed(&self) -> bool {
        self.last != Last::Unsaid
    }

    /// Whether that has gone.
    pub(crate) fn has_closed(&self) -> bool {
        self.last == Last::Gone
    }

    /// How many bytes have gone, all in all.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Adds a message whether there is room for it or not; returns whether that was before the last.
    pub(crate) fn put(&mut self, frame: Frame) -> bool {
        if self.is_closed() {
            return false;
        }
        if frame.is_close() {
            self.last = Last::Waits;
        }
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            let bytes = frame.payload.len();
            self.queue.put(frame, bytes);
        }
        true
    }

    /// Adds a message; what does not fit is for the policy to decide.
    pub(crate) fn push(&mut self, frame: Frame) -> Queued {
        if self.is_closed() {
            return Queued::Ended;
        }
        if self.first.is_none() || frame.is_close() {
            self.put(frame);
            return Queued::Kept;
        }
        let bytes = frame.payload.len();
        self.queue.push(frame, bytes)
    }

    /// Lets go of what has not begun to go.
    pub(crate) fn discard(&mut self) {
        self.queue.clear();
        if self.gone == 0 {
            self.first = None;
        }
    }

    /// Sends as much as the way to the client takes. Ready once nothing waits, or between two frames
    /// if it is `to_boundary` only.
    pub(crate) fn poll_write<I>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        to_boundary: bool,
    ) -> Poll<io::Result<()>>
    where
        I: AsyncWrite + Unpin + ?Sized,
    {
        while let Some(first) = &self.first
            && !(to_boundary && self.gone == 0)
        {
            let most = if to_boundary { 1 } else { AT_ONCE };
            let frames = iter::once(first).chain(self.queue.iter()).take(most);
            let mut slices = [IoSlice::new(&[]); 2 * AT_ONCE];
            let mut used = 0;
            let mut skip = self.gone;
            for piece in frames.flat_map(|frame| [frame.head(), &frame.payload[..]]) {
                let skipped = skip.min(piece.len());
                skip -= skipped;
                if skipped < piece.len() {
                    slices[used] = IoSlice::new(&piece[skipped..]);
                    used += 1;
                }
            }
            let written = Pin::new(&mut *io).poll_write_vectored(cx, &slices[..used]);
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.went(bytes),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn went(&mut self, bytes: usize) {
        self.total = self.total.wrapping_add(bytes as u64);
        self.gone += bytes;
        while let Some(first) = &self.first
            && self.gone >= first.len()
        {
            self.gone -= first.len();
            if first.is_close() {
                self.last = Last::Gone;
            }
            self.first = self.queue.pop();
        }
    }
}

impl Frame {
    fn new(opcode: u8, payload: Bytes) -> Self {
        let mut head = [0; 10];
        head[0] = LAST | opcode;
        let length = payload.len() as u64;
        let head_len = match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..=125), _) => {
                head[1] = short;
                2
            }
            (_, Ok(length)) => {
                head[1] = 126;
                head[2..4].copy_from_slice(&length.to_be_bytes());
                4
            }
            (_, Err(_)) => {
                head[1] = 127;
                head[2..].copy_from_slice(&length.to_be_bytes());
                10
            }
        };
        Self {
            head,
            head_len,
            payload,
        }
    }

    fn head(&self) -> &[u8] {
        &self.head[..usize::from(self.head_len)]
    }

    fn len(&self) -> usize {
        usize::from(self.head_len) + self.payload.len()
    }

    pub(crate) const fn is_close(&self) -> bool {
        self.head[0] == LAST | CLOSE
    }
}

impl From<Message> for Frame {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::new(TEXT, text.into_bytes()),
            Message::Binary(data) => Self::new(BINARY, data),
            Message::Close(why) => Self::new(CLOSE, why.map_or_else(Bytes::new, payload)),
        }
    }
}

fn payload(why: CloseFrame) -> Bytes {
    let CloseFrame { code, reason } = why;
    let reason = &reason[..reason.floor_char_boundary(MOST - 2)];
    let mut payload = BytesMut::with_capacity(2 + reason.len());
    payload.put_u16(code.as_u16());
    payload.put_slice(reason.as_bytes());
    payload.freeze()
}

const LAST: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
