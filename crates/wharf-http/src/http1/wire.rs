//! [`Wire`]: the bytes of one HTTP/1 connection, between the socket and hyper.
//!
//! It holds the slot (in [`Tracked`]), feeds the [`Meter`], and gives hyper only what the meter has
//! passed: whole heads, and the bodies that belong to them. So hyper never holds part of a head,
//! never sees a request that we refuse, and is never timed by a clock of its own. What is not passed
//! stays here until the driver decides.

mod session;
mod tunnel;

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wharf_pool::{Timestamp, Tracked};

use super::exchange::Exchange;
use super::fate::Fate;
use super::head::{BodyFraming, Head};
use super::meter::{Meter, Piece, Place};
use super::settings::Settings;
use super::violation::Violation;
use crate::connection::HttpConnection;
use crate::transport::Transport;
use crate::waits::taken_by_peer;
use tunnel::Tunnel;
pub(crate) use tunnel::Upgraded;

/// How much is read at once while part of a head is kept here: heads that do not come in one piece
/// are rare, and the buffer is on the stack.
const CHUNK: usize = 4096;

/// The bytes of one connection and everything that is known of them.
pub(crate) struct Wire<T> {
    io: Tracked<T, HttpConnection>,
    meter: Meter,
    pub(crate) settings: Arc<Settings>,
    pub(crate) exchange: Exchange,
    /// Received and not yet given to hyper.
    stash: Vec<u8>,
    /// How much of the stash may be given to hyper.
    passed: usize,
    violation: Option<Violation>,
    pub(crate) fate: Fate,
    tunnel: Tunnel,
    /// How many bytes the peer had taken when it was last looked at, while it takes none.
    taken: Option<u64>,
    /// Whether the codec has read all that there was, and asked for more.
    wants_more: bool,
    /// Who asked for bytes that are held until the handler has decided whose they are.
    held_from: Option<Waker>,
    /// What the request has become whose answer opened the tunnel: in flight until the last byte.
    upgraded: Option<Box<Upgraded>>,
}

impl<T: Transport> Wire<T> {
    pub(crate) fn new(
        io: Tracked<T, HttpConnection>,
        settings: Arc<Settings>,
        early: Vec<u8>,
    ) -> Self {
        let exchange = Exchange::new(io.handle().opened());
        let mut wire = Self {
            io,
            meter: Meter::new(),
            settings,
            exchange,
            stash: early,
            passed: 0,
            violation: None,
            fate: Fate::default(),
            tunnel: Tunnel::None,
            taken: None,
            wants_more: false,
            held_from: None,
            upgraded: None,
        };
        wire.scan_stash();
        wire
    }

    fn now(&self) -> Timestamp {
        self.io.handle().now()
    }

    /// The rule that the peer has broken, once everything that came before it is answered.
    pub(crate) fn refused(&self) -> Option<Violation> {
        let own = u64::from(self.exchange.in_body());
        let before = self.exchange.outstanding().saturating_sub(own);
        let answered = before == 0 && !self.exchange.is_writing();
        self.violation.filter(|_| answered)
    }

    /// Whether there is something for the codec to parse, and nobody has given it up.
    pub(crate) fn is_to_be_served(&self) -> bool {
        self.passed > 0 && !self.fate.cut
    }

    /// Waits, without a codec, until there is something for it or the peer has gone.
    pub(crate) fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.passed == 0 {
            if self.violation.is_some() {
                return Poll::Pending;
            }
            match ready!(self.read_into_stash(cx)) {
                Ok(Read::Closed) => {
                    self.closed();
                    break;
                }
                Ok(Read::Given | Read::Kept) => {}
                Err(error) => {
                    self.fate.error.get_or_insert(error.kind());
                    break;
                }
            }
        }
        Poll::Ready(())
    }

    /// Whether the codec can be put away and made anew without anybody noticing: nothing is in flight
    /// in either direction, the last request was seen to its end, whatever was received has been taken
    /// by the codec, which waits for more, and whatever it wrote has gone.
    pub(crate) fn is_parkable(&self) -> bool {
        self.wants_more
            && self.passed == 0
            && self.stash.is_empty()
            && self.violation.is_none()
            && !self.is_tunnel()
            && self.meter.place() == Place::Boundary
            && self.exchange.is_idle()
            && !self.exchange.in_body()
            && !self.fate.read_closed
            && self.fate.error.is_none()
            && self.fate.said_close.is_none()
            && !self.fate.peer_ends
    }

    /// The codec has been put away.
    pub(crate) fn parked(&mut self) {
        self.wants_more = false;
    }

    fn closed(&mut self) {
        self.fate.read_closed = true;
        self.fate.left_amid = self.exchange.outstanding() > 0 || self.exchange.in_head();
    }

    /// Whether received bytes wait here for the codec.
    pub(crate) fn is_drained(&self) -> bool {
        self.stash.is_empty()
    }

    /// The answer to the request in hand begins: 101 opens the tunnel, all else releases what the
    /// meter held back behind a request for an upgrade. Returns who waits for that, to be woken
    /// without the lock.
    #[must_use]
    pub(crate) fn answer_begins(&mut self, upgrade: Option<Upgraded>) -> Option<Waker> {
        self.exchange.responded();
        let held = self.meter.place() == Place::Held;
        if let Some(upgraded) = upgrade {
            self.upgraded = Some(Box::new(upgraded));
            self.meter.upgraded();
            self.tunnel = Tunnel::Open {
                reader: None,
                writer: None,
            };
        } else {
            self.meter.not_upgraded();
        }
        // Also where nobody has asked for them: they will not come from the socket again.
        if held || self.is_tunnel() {
            self.scan_stash();
        }
        self.held_from.take()
    }

    /// Whether the request in hand asks for an upgrade.
    pub(crate) fn asks_for_upgrade(&self) -> bool {
        self.meter.asks_for_upgrade()
    }

    /// Whether a flush has something to do: after a write that succeeded, nearly never.
    pub(crate) fn is_to_be_flushed(&self) -> bool {
        self.is_tunnel() || self.io.get_ref().holds()
    }

    /// Whether an upgrade has taken the bytes away from the codec.
    pub(crate) fn is_tunnel(&self) -> bool {
        !matches!(self.tunnel, Tunnel::None)
    }

    /// Ends an upgraded connection: whoever holds the bytes sees both directions fail, and is to be
    /// woken, without the lock.
    #[must_use]
    pub(crate) fn cut_tunnel(&mut self) -> [Option<Waker>; 2] {
        // Whoever holds them may let them go late, and what is unsent then is nobody's any more.
        self.io.get_ref().reset_on_drop();
        match std::mem::replace(&mut self.tunnel, Tunnel::Cut) {
            Tunnel::Open { reader, writer } => [reader, writer],
            Tunnel::Tapped(mut tap) => tap.cut(),
            Tunnel::None | Tunnel::Cut => [None, None],
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if let Tunnel::Cut = self.tunnel {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            if self.passed > 0 {
                self.wants_more = false;
                self.give(buf);
                return Poll::Ready(Ok(()));
            }
            if let Tunnel::Tapped(_) = self.tunnel {
                return self.read_in_session(cx, buf);
            }
            // The driver answers a violation; until then hyper has nothing more to read.
            if self.violation.is_some() {
                return Poll::Pending;
            }
            let read = if self.stash.is_empty() {
                ready!(self.read_through(cx, buf))
            } else if self.meter.place() == Place::Held {
                keep(&mut self.held_from, cx.waker());
                return Poll::Pending;
            } else {
                ready!(self.read_into_stash(cx))
            };
            match read {
                Ok(Read::Given) => return Poll::Ready(Ok(())),
                Ok(Read::Kept) => {}
                Ok(Read::Closed) => {
                    self.closed();
                    return Poll::Ready(Ok(()));
                }
                Err(error) => {
                    self.fate.error.get_or_insert(error.kind());
                    return Poll::Ready(Err(error));
                }
            }
        }
    }

    /// The usual way: the socket's bytes go into hyper's own buffer, and the meter looks at them
    /// there. What it does not pass is taken out again.
    fn read_through(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Read>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Pending => {
                self.read_blocked(cx);
                return Poll::Pending;
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {}
        }
        let end = buf.filled().len();
        if end == before {
            return Poll::Ready(Ok(Read::Closed));
        }
        let passed = self.scan(&buf.filled()[before..]);
        self.wants_more = false;
        if before + passed < end {
            self.stash
                .extend_from_slice(&buf.filled()[before + passed..]);
            buf.set_filled(before + passed);
        }
        Poll::Ready(Ok(if passed > 0 { Read::Given } else { Read::Kept }))
    }

    /// The way of a head that comes in pieces: it is kept here until it is whole.
    fn read_into_stash(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Read>> {
        let mut chunk = [MaybeUninit::uninit(); CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        match Pin::new(&mut self.io).poll_read(cx, &mut chunk) {
            Poll::Pending => {
                self.read_blocked(cx);
                return Poll::Pending;
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {}
        }
        if chunk.filled().is_empty() {
            return Poll::Ready(Ok(Read::Closed));
        }
        self.stash.extend_from_slice(chunk.filled());
        self.scan_stash();
        Poll::Ready(Ok(Read::Kept))
    }

    fn read_blocked(&mut self, cx: &mut Context<'_>) {
        self.wants_more = true;
        match &mut self.tunnel {
            Tunnel::None => self.exchange.read_blocked(self.now()),
            Tunnel::Open { reader, .. } => keep(reader, cx.waker()),
            Tunnel::Tapped(_) | Tunnel::Cut => {}
        }
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let given = self.passed.min(buf.remaining());
        buf.put_slice(&self.stash[..given]);
        self.passed -= given;
        if given == self.stash.len() {
            // Given back, not kept: a connection with one slow head must not hold 32 KiB for ever.
            self.stash = Vec::new();
        } else {
            self.stash.drain(..given);
        }
    }

    fn scan_stash(&mut self) {
        let stash = std::mem::take(&mut self.stash);
        self.passed += self.scan(&stash[self.passed..]);
        self.stash = stash;
    }

    /// Looks at received bytes; returns how many of them hyper may have.
    fn scan(&mut self, bytes: &[u8]) -> usize {
        let now = self.now();
        let mut at = 0;
        while at < bytes.len() {
            match self.meter.feed(&self.settings.head, &bytes[at..]) {
                Ok(fed) => {
                    at += fed.consumed;
                    match fed.piece {
                        Piece::PartialHead => {
                            self.exchange.head_begun(now);
                            break;
                        }
                        Piece::Held => break,
                        Piece::Head(head) => self.head(head, now),
                        Piece::Body { payload, end } => {
                            self.exchange.body_received(payload, end, now);
                        }
                        Piece::Blank | Piece::Tunnel => {}
                    }
                }
                Err(violation) => {
                    self.violation = Some(violation);
                    break;
                }
            }
        }
        at
    }

    fn head(&mut self, head: Head, now: Timestamp) {
        let body = !matches!(head.body, BodyFraming::None | BodyFraming::Length(0));
        self.exchange.head_complete(body, now);
        self.fate.peer_ends = !head.asks.keep_alive();
    }

    /// Looks how much the peer has taken since the last look; a transport that cannot say is
    /// believed for what it took itself.
    pub(crate) fn look_at_peer(&mut self, written: u64) {
        let now = self.now();
        match taken_by_peer(&self.io) {
            Some(taken) => {
                let before = self.taken.replace(taken).unwrap_or(taken);
                self.exchange.taken(taken.saturating_sub(before), now);
            }
            None => self.exchange.taken(written, now),
        }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(
            Pin<&mut Tracked<T, HttpConnection>>,
            &mut Context<'_>,
        ) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Tunnel::Cut = self.tunnel {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let written = write(Pin::new(&mut self.io), cx);
        self.wrote(&written, cx);
        written
    }

    /// Notes whether the way to the peer is free.
    fn wrote(&mut self, written: &Poll<io::Result<usize>>, cx: &Context<'_>) {
        match (written, &mut self.tunnel) {
            (Poll::Ready(Ok(bytes)), Tunnel::None | Tunnel::Tapped(_)) => {
                if self.exchange.is_writing() {
                    self.look_at_peer(*bytes as u64);
                    self.exchange.unblocked(self.now());
                }
            }
            (Poll::Pending, Tunnel::None | Tunnel::Tapped(_)) => {
                if !self.exchange.is_writing() {
                    self.taken = taken_by_peer(&self.io);
                }
                self.exchange.write_blocked(self.now());
            }
            (Poll::Pending, Tunnel::Open { writer, .. }) => keep(writer, cx.waker()),
            (Poll::Ready(Err(error)), _) => {
                self.fate.error.get_or_insert(error.kind());
            }
            (Poll::Ready(Ok(_)), Tunnel::Open { .. }) | (_, Tunnel::Cut) => {}
        }
    }
}

impl<T: Transport> crate::wire::Wire for Wire<T> {
    type Transport = T;

    fn io(&mut self) -> &mut Tracked<T, HttpConnection> {
        &mut self.io
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.read(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Tunnel::Tapped(_) = self.tunnel {
            return self.write_in_session(cx, bytes);
        }
        self.write(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Tunnel::Tapped(_) = self.tunnel {
            let first = pieces.iter().find(|piece| !piece.is_empty());
            return self.poll_write(cx, first.map_or(&[], |piece| piece));
        }
        self.write(cx, |io, cx| io.poll_write_vectored(cx, pieces))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Tunnel::Tapped(_) = self.tunnel {
            return self.flush_in_session(cx);
        }
        self.write(cx, |io, cx| io.poll_flush(cx).map_ok(|()| 0))
            .map_ok(drop)
    }

    /// After an upgrade it is whoever asked for it that closes our direction.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Tunnel::Tapped(_) = self.tunnel {
            self.finish_in_session();
            return Poll::Ready(Ok(()));
        }
        if self.is_tunnel() {
            Pin::new(&mut self.io).poll_shutdown(cx)
        } else {
            Pin::new(&mut self.io).poll_flush(cx)
        }
    }
}

impl<T> Drop for Wire<T> {
    fn drop(&mut self) {
        if let Some(upgraded) = self.upgraded.take() {
            upgraded.guard.end(upgraded.outcome, upgraded.took);
            // The driver waits for the end of the bytes that it has given away.
            self.io.handle().control().wake();
        }
    }
}

/// What a read has brought.
enum Read {
    /// Bytes for hyper are in its buffer.
    Given,
    /// Nothing for hyper yet.
    Kept,
    /// The peer has closed its direction.
    Closed,
}

fn keep(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(kept) => kept.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
