//! [`WebSocketBytes`]: a session whose handler frames by itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::port::{Port, ask};

/// The bytes of a session, for a handler that frames by itself, as a gateway does: frames of the client
/// as they come, masked, and frames for it.
///
/// The client's rules, Pings, deadlines and the end of the server are wharf's here too: its Pings are
/// answered, and what wharf has to say goes between two frames of the handler's. Closed or dropped, the
/// session is closed with code 1000, or cut where that is in the middle of a frame.
#[derive(Debug)]
pub struct WebSocketBytes {
    way: Way,
}

#[derive(Debug)]
enum Way {
    Connection(TokioIo<Upgraded>),
    Stream(Arc<dyn Port>),
}

impl WebSocketBytes {
    pub(super) fn of_connection(upgraded: Upgraded) -> Self {
        let way = Way::Connection(TokioIo::new(upgraded));
        Self { way }
    }

    pub(super) fn of_stream(port: Arc<dyn Port>) -> Self {
        let way = Way::Stream(port);
        Self { way }
    }
}

impl AsyncRead for WebSocketBytes {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Way::Connection(io) => Pin::new(io).poll_read(cx, buf),
            Way::Stream(port) => ask(&**port, |tap, mut line, now| {
                tap.poll_read(&mut line, cx, buf, now)
            })
            .unwrap_or_else(|| Poll::Ready(Err(over()))),
        }
    }
}

impl AsyncWrite for WebSocketBytes {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().way {
            Way::Connection(io) => Pin::new(io).poll_write(cx, bytes),
            Way::Stream(port) => ask(&**port, |tap, mut line, now| {
                tap.poll_write(&mut line, cx, bytes, now)
            })
            .unwrap_or_else(|| Poll::Ready(Err(over()))),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Way::Connection(io) => Pin::new(io).poll_flush(cx),
            Way::Stream(port) => ask(&**port, |tap, mut line, _| tap.poll_flush(&mut line, cx))
                .unwrap_or_else(|| Poll::Ready(Err(over()))),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Way::Connection(io) => Pin::new(io).poll_shutdown(cx),
            Way::Stream(port) => {
                // Where there is no session any more, nothing is left to be closed.
                ask(&**port, |tap, _, now| tap.session.handler_left(false, now));
                Poll::Ready(Ok(()))
            }
        }
    }
}

fn over() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
