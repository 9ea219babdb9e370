//! The listening socket: who waits on it, and taking one.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use wharf_control::AcceptError;

/// Registers the socket with the runtime. Not tokio's own `TcpListener`: that cannot say that
/// somebody waits without accepting him, and `when_full = "wait"` counts from then.
#[expect(
    deprecated,
    reason = "its successor is unsafe; a std socket keeps its descriptor for life"
)]
pub(super) fn register(socket: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    AsyncFd::new(socket)
}

pub(super) fn try_accept(
    ready: &mut AsyncFdReadyGuard<'_, TcpListener>,
) -> io::Result<(OwnedFd, SocketAddr)> {
    match ready.try_io(|socket| accept(socket.get_ref())) {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::WouldBlock.into()),
    }
}

pub(super) fn accept(socket: &TcpListener) -> io::Result<(OwnedFd, SocketAddr)> {
    let (stream, peer) = acceptfrom_with(socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    // A TCP socket without a peer's address was reset before it was accepted.
    peer.map(|peer| (stream, peer))
        .ok_or_else(|| rustix::io::Errno::CONNABORTED.into())
}

/// Whether an error is about the one connection that was to be accepted, and others wait behind it.
pub(super) fn is_per_connection(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::WouldBlock
        && AcceptError::classify(error.raw_os_error()) == AcceptError::PerConnection
}

/// A descriptor to give up when there is no other.
pub(super) fn spare(socket: &TcpListener) -> Option<OwnedFd> {
    socket.try_clone().ok().map(OwnedFd::from)
}
