//! [`Transport`]: what a connection's bytes go over.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A byte stream that a connection can be served on.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the coming drop a reset: the kernel throws away what the peer has not taken, instead
    /// of keeping it for a peer that does not read. Best effort.
    fn reset_on_drop(&self) {}

    /// How many bytes that were written the peer has not acknowledged; `None` if the transport
    /// cannot say. A socket takes bytes in large pieces and long before its peer does: only this
    /// tells a slow reader from one that has stopped.
    fn unacknowledged(&self) -> Option<u64> {
        None
    }

    /// Whether bytes that were written may wait in it for a flush. One that says no is not flushed.
    fn holds(&self) -> bool {
        true
    }

    /// Called again and again while the peer takes nothing. The kernel's `user_timeout` counts a
    /// peer that answers, with its window closed, as one that is dead: while that is so it is put
    /// off, and `stream_idle_timeout` is what ends it.
    fn spare_the_living(&self, user_timeout: Duration) {
        let _ = user_timeout;
    }
}

impl Transport for TcpStream {
    fn holds(&self) -> bool {
        false
    }

    fn unacknowledged(&self) -> Option<u64> {
        wharf_sys::unacknowledged(self).ok()
    }

    fn spare_the_living(&self, user_timeout: Duration) {
        let waiting = wharf_sys::unacknowledged(self);
        let (Ok(waiting), Ok(unsent)) = (waiting, wharf_sys::unsent(self)) else {
            return;
        };
        let in_force = (unsent < waiting).then_some(user_timeout);
        let socket = socket2::SockRef::from(self);
        if socket
            .tcp_user_timeout()
            .is_ok_and(|there| there != in_force)
        {
            // A socket that is gone needs no timeout.
            socket.set_tcp_user_timeout(in_force).ok();
        }
    }

    fn reset_on_drop(&self) {
        // The only error is a socket that is gone, and then there is nothing to throw away.
        socket2::SockRef::from(self)
            .set_linger(Some(Duration::ZERO))
            .ok();
    }
}

/// In memory, for tests and for protocols that bring their own bytes.
impl Transport for tokio::io::DuplexStream {
    fn holds(&self) -> bool {
        false
    }
}
