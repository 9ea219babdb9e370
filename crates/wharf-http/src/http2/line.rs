//! [`StreamLine`]: the bytes of a stream that has become a session.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{Reason, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wharf_pool::Clock;

use super::stream::Stream;
use super::upload::Upload;

/// The bytes of a stream, in both directions. Whoever writes, it is the stream's own task that waits for
/// room: the codec knows one waker only, and that task has to hear of a reset too.
pub(super) struct StreamLine {
    upload: Upload,
    /// Received and not yet read.
    here: Bytes,
    send: SendStream<Bytes>,
    stream: Arc<Stream>,
    clock: Arc<Clock>,
    task: Waker,
    /// How many bytes have gone since the peer last had no room.
    passed: u64,
    way: Way,
}

/// The way to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Free,
    Blocked,
}

/// The most that is sent at once: what is larger goes in pieces, so that others get their turn.
const AT_ONCE: usize = 16 * 1024;

impl StreamLine {
    pub(super) fn new(
        upload: Upload,
        send: SendStream<Bytes>,
        stream: Arc<Stream>,
        clock: Arc<Clock>,
    ) -> Self {
        Self {
            upload,
            here: Bytes::new(),
            send,
            stream,
            clock,
            task: Waker::noop().clone(),
            passed: 0,
            way: Way::Free,
        }
    }

    /// Ready when the peer has reset the stream, or its connection has ended. To be asked by the
    /// stream's task.
    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.task.will_wake(cx.waker()) {
            self.task = cx.waker().clone();
        }
        self.send.poll_reset(cx).map(drop)
    }

    /// Whether the peer takes nothing.
    pub(super) fn is_blocked(&self) -> bool {
        self.way == Way::Blocked
    }

    /// Our direction ends in good order.
    pub(super) fn finish(&mut self) {
        // A stream that is gone has ended before.
        self.send.send_data(Bytes::new(), true).ok();
    }

    /// Both directions end.
    pub(super) fn reset(&mut self, code: Reason) {
        self.send.send_reset(code);
    }

    /// For how many bytes the peer has room.
    fn poll_room(&mut self, bytes: usize) -> Poll<io::Result<usize>> {
        self.send.reserve_capacity(bytes.min(AT_ONCE));
        let task = self.task.clone();
        let mut cx = Context::from_waker(&task);
        loop {
            let room = self.send.capacity();
            if room > 0 {
                if self.way == Way::Blocked {
                    self.way = Way::Free;
                    self.stream.unblocked(self.clock.now());
                }
                return Poll::Ready(Ok(room));
            }
            match self.send.poll_capacity(&mut cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(failed(error))),
                Poll::Ready(None) => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Poll::Pending => {
                    let passed = std::mem::take(&mut self.passed);
                    self.way = Way::Blocked;
                    self.stream.blocked(passed, self.clock.now());
                    return Poll::Pending;
                }
            }
        }
    }

    fn send(&mut self, data: Bytes) -> Poll<io::Result<usize>> {
        let bytes = data.len();
        self.passed += bytes as u64;
        let sent = self.send.send_data(data, false);
        Poll::Ready(sent.map(|()| bytes).map_err(failed))
    }
}

fn failed(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for StreamLine {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.here.is_empty() {
            match ready!(self.upload.poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.here = data,
                    // Trailers, which no session has, are its end.
                    Err(_) => return Poll::Ready(Ok(())),
                },
                Some(Err(error)) => {
                    let kind = io::ErrorKind::ConnectionReset;
                    return Poll::Ready(Err(io::Error::new(kind, error)));
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let given = self.here.len().min(buf.remaining());
        buf.put_slice(&self.here[..given]);
        self.here.advance(given);
        if self.here.is_empty() {
            // Given back with the frame that it is a part of.
            self.here = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamLine {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let room = ready!(self.poll_room(bytes.len()))?;
        let data = Bytes::copy_from_slice(&bytes[..room.min(bytes.len())]);
        self.send(data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = pieces.iter().map(|piece| piece.len()).sum();
        let mut room = ready!(self.poll_room(all))?;
        let mut data = BytesMut::with_capacity(room.min(all));
        for piece in pieces {
            let taken = room.min(piece.len());
            data.put_slice(&piece[..taken]);
            room -= taken;
        }
        self.send(data.freeze())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The codec sends what it has by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
