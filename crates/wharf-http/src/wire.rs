//! [`Wire`]: the bytes of one connection, between the socket and a codec.

use std::io;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;
use wharf_pool::Tracked;

use crate::connection::HttpConnection;
use crate::transport::Transport;

/// The bytes of one connection, between the socket and a codec: what is read and written here is
/// seen, judged, and perhaps held.
pub(crate) trait Wire: Send + 'static {
    /// What the bytes go over.
    type Transport: Transport;

    /// The bytes beneath, for what is said after the codec is gone.
    fn io(&mut self) -> &mut Tracked<Self::Transport, HttpConnection>;

    /// As [`tokio::io::AsyncRead`] has it, for the codec.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    /// As [`tokio::io::AsyncWrite`] has it, for the codec.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// As [`tokio::io::AsyncWrite`] has it, for the codec.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// As [`tokio::io::AsyncWrite`] has it: TLS holds records that the socket does not take.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The codec has no more to write. The driver closes the socket, in its own order.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
