//! [`Wire`]: the bytes of one HTTP/2 connection, between the socket and the codec.
//!
//! It holds the slot (in [`Tracked`]) and shows both directions to the [`Meter`]. A peer that is found
//! to abuse its connection is read no further; the driver does the rest.

use std::io::{self, Cursor};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wharf_pool::{Timestamp, Tracked};

use super::meter::{Http2Abuse, Limits, Meter, Standing};
use super::settings::Settings;
use crate::connection::HttpConnection;
use crate::transport::Transport;
use crate::waits::{Sending, taken_by_peer};

/// The bytes of one connection and what they tell.
pub(crate) struct Wire<T> {
    io: Tracked<T, HttpConnection>,
    pub(crate) meter: Meter,
    pub(crate) settings: Arc<Settings>,
    /// Received before the codec was there.
    early: Option<Box<Cursor<Vec<u8>>>>,
    pub(crate) sending: Sending,
    /// How many bytes have gone since the transport last took none.
    passed: u64,
    /// When the last bytes came.
    pub(crate) heard: Timestamp,
    abuse: Option<Http2Abuse>,
    /// The peer has closed its direction.
    pub(crate) read_closed: bool,
    /// The socket failed.
    pub(crate) error: Option<io::ErrorKind>,
}

impl<T: Transport> Wire<T> {
    pub(crate) fn new(
        io: Tracked<T, HttpConnection>,
        settings: Arc<Settings>,
        limits: &Limits,
        early: Vec<u8>,
    ) -> Self {
        let (opened, heard) = (io.handle().opened(), io.handle().now());
        let mut wire = Self {
            io,
            meter: Meter::new(limits, opened),
            settings,
            early: None,
            sending: Sending::default(),
            passed: 0,
            heard,
            abuse: None,
            read_closed: false,
            error: None,
        };
        wire.received(&early);
        wire.early = (!early.is_empty()).then(|| Box::new(Cursor::new(early)));
        wire
    }

    /// What the peer does that it must not, and how far that has gone.
    pub(crate) fn standing(&self) -> Standing {
        self.abuse
            .map_or_else(|| self.meter.standing(), Standing::Abusive)
    }

    fn now(&self) -> Timestamp {
        self.io.handle().now()
    }

    /// Looks again which pool the connection is in, after it has moved.
    pub(crate) fn moved(&mut self, settings: Arc<Settings>) {
        self.io.moved();
        self.settings = settings;
    }

    fn received(&mut self, bytes: &[u8]) {
        self.heard = self.now();
        if let Err(abuse) = self.meter.received(bytes, self.heard) {
            self.abuse = Some(abuse);
        }
    }

    /// Looks how much the peer has taken since the last look, if the transport can say.
    pub(crate) fn look_at_peer(&mut self) {
        if let Some(taken) = taken_by_peer(&self.io) {
            self.sending.looked(taken, self.now());
        }
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.passed += *bytes as u64;
                if self.sending.is_blocked() {
                    self.look_at_peer();
                    self.sending.unblocked(self.now());
                }
            }
            Poll::Pending => {
                if self.sending.is_blocked() {
                    return;
                }
                let (now, passed) = (self.now(), std::mem::take(&mut self.passed));
                if let Some(taken) = taken_by_peer(&self.io) {
                    self.sending.blocked_after(taken, now);
                } else {
                    // A transport that cannot say is believed for what it took itself.
                    self.sending.blocked(now);
                    self.sending.taken(passed, now);
                }
            }
            Poll::Ready(Err(error)) => {
                self.error.get_or_insert(error.kind());
            }
        }
    }

    /// Gives what came before the codec was there; whether there was any.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(early) = &mut self.early else {
            return false;
        };
        let given = early.remaining().min(buf.remaining());
        buf.put_slice(&early.chunk()[..given]);
        early.advance(given);
        if !early.has_remaining() {
            self.early = None;
        }
        true
    }
}

impl<T: Transport> crate::wire::Wire for Wire<T> {
    type Transport = T;

    fn io(&mut self) -> &mut Tracked<T, HttpConnection> {
        &mut self.io
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.abuse.is_some() {
            return Poll::Pending;
        }
        if self.give(buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if buf.filled().len() == before => {
                self.read_closed = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => {
                self.received(&buf.filled()[before..]);
                if self.abuse.is_some() {
                    // The codec is not to work for it. The driver looks after every poll.
                    buf.set_filled(before);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                self.error.get_or_insert(error.kind());
                Poll::Ready(Err(error))
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(n)) = written {
            self.meter.sent(&bytes[..n], self.now());
        }
        self.wrote(&written);
        written
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        if let Poll::Ready(Ok(mut left)) = written {
            let now = self.now();
            for piece in pieces {
                let n = piece.len().min(left);
                self.meter.sent(&piece[..n], now);
                left -= n;
            }
        }
        self.wrote(&written);
        written
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx).map_ok(|()| 0);
        self.wrote(&flushed);
        flushed.map_ok(drop)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
}
