//! [`Transport`]: what a connection's bytes go over.

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
}

impl Transport for TcpStream {
    fn unacknowledged(&self) -> Option<u64> {
        wharf_sys::unacknowledged(self).ok()
    }

    fn reset_on_drop(&self) {
        // The only error is a socket that is gone, and then there is nothing to throw away.
        socket2::SockRef::from(self)
            .set_linger(Some(std::time::Duration::ZERO))
            .ok();
    }
}

/// In memory, for tests and for protocols that bring their own bytes.
impl Transport for tokio::io::DuplexStream {}
