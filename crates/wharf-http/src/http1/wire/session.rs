//! The wire of a connection that has become a WebSocket session.

use std::io;
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;
use wharf_pool::Tracked;

use super::{Tunnel, Upgraded, Wire};
use crate::connection::HttpConnection;
use crate::transport::Transport;
use crate::websocket::{Ended, Session, Settings, Tap, Visit};

impl<T: Transport> Wire<T> {
    /// The answer to the request in hand is 101, and opens a WebSocket session: what follows the
    /// request, and what follows the head of the answer, are frames. Returns who waits for that.
    #[must_use]
    pub(crate) fn session_begins(
        &mut self,
        upgraded: Upgraded,
        settings: Settings,
    ) -> Option<Waker> {
        self.exchange.responded();
        self.io.moved();
        self.upgraded = Some(Box::new(upgraded));
        self.meter.upgraded();
        let now = self.now();
        let session = Session::new(settings, now);
        let early = self.stash.split_off(self.passed);
        self.tunnel = Tunnel::Tapped(Box::new(Tap::new(session, &early, now)));
        self.held_from.take()
    }

    /// The session that the connection has become.
    pub(crate) fn session(&mut self) -> Option<(&mut Tap, &mut Tracked<T, HttpConnection>)> {
        match &mut self.tunnel {
            Tunnel::Tapped(tap) => Some((tap, &mut self.io)),
            Tunnel::None | Tunnel::Open { .. } | Tunnel::Cut => None,
        }
    }

    /// Does a part of it that is a handler's of our own.
    pub(crate) fn visit_session(&mut self, visit: Visit<'_>) {
        let now = self.now();
        let Tunnel::Tapped(tap) = &mut self.tunnel else {
            return;
        };
        visit(tap, &mut self.io, now);
        let spoken = if tap.is_held_up() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(0))
        };
        let nobody = Context::from_waker(Waker::noop());
        self.wrote_in_session(&spoken, &nobody);
    }

    /// Does the driver's part of a session.
    pub(crate) fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let now = self.now();
        let Tunnel::Tapped(tap) = &mut self.tunnel else {
            return Poll::Pending;
        };
        let ended = tap.poll_end(&mut self.io, cx, now);
        let spoken = if tap.is_held_up() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(0))
        };
        if spoken.is_pending() {
            self.wrote(&spoken, cx);
        }
        ended
    }

    /// Whoever was given the bytes has let them go.
    pub(crate) fn let_go(&mut self, panicked: bool) {
        let now = self.now();
        if let Tunnel::Tapped(tap) = &mut self.tunnel {
            tap.handler_left(panicked, now);
            self.io.handle().control().wake();
        }
    }

    pub(super) fn read_in_session(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let now = self.now();
        let Tunnel::Tapped(tap) = &mut self.tunnel else {
            return Poll::Pending;
        };
        let read = tap.poll_read(&mut self.io, cx, buf, now);
        self.call_driver();
        read
    }

    pub(super) fn write_in_session(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let now = self.now();
        let Tunnel::Tapped(tap) = &mut self.tunnel else {
            return Poll::Pending;
        };
        let written = tap.poll_write(&mut self.io, cx, bytes, now);
        self.wrote_in_session(&written, cx);
        written
    }

    pub(super) fn flush_in_session(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Tunnel::Tapped(tap) = &mut self.tunnel else {
            return Poll::Pending;
        };
        let flushed = tap.poll_flush(&mut self.io, cx).map_ok(|()| 0);
        self.wrote_in_session(&flushed, cx);
        flushed.map_ok(drop)
    }

    /// The handler has no more to write. The driver closes the socket.
    pub(super) fn finish_in_session(&mut self) {
        let now = self.now();
        if let Tunnel::Tapped(tap) = &mut self.tunnel {
            tap.session.handler_left(false, now);
            self.call_driver();
        }
    }

    /// Notes whether the way to the client is free. The driver looks after one that is not.
    fn wrote_in_session(&mut self, written: &Poll<io::Result<usize>>, cx: &Context<'_>) {
        let before = self.exchange.is_writing();
        self.wrote(written, cx);
        if self.exchange.is_writing() && !before {
            self.io.handle().control().wake();
        }
        self.call_driver();
    }

    /// Wakes the driver if its session has something for it to do.
    fn call_driver(&mut self) {
        if let Tunnel::Tapped(tap) = &mut self.tunnel
            && tap.wants_driver()
        {
            self.io.handle().control().wake();
        }
    }
}
