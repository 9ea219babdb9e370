//! [`Transport`]: what a connection's bytes go over.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A byte stream that a connection can be served on.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the coming drop a reset: the kernel throws away what the peer has not taken, instead
    /// of keeping it for a peer that does not read. Best effort.
    fn reset_on_drop(&self) {}
}

impl Transport for TcpStream {
    fn reset_on_drop(&self) {
        // The only error is a socket that is gone, and then there is nothing to throw away.
        socket2::SockRef::from(self)
            .set_linger(Some(std::time::Duration::ZERO))
            .ok();
    }
}

/// In memory, for tests and for protocols that bring their own bytes.
impl Transport for tokio::io::DuplexStream {}
