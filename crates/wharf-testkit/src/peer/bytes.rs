//! A [`Peer`] as a stream of bytes, for the clients of protocols.
//!
//! A read for which nothing comes within ten seconds is an error: on a real socket a test that waits
//! for longer waits for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use super::{Peer, SOON};

impl AsyncRead for Peer {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let peer = self.get_mut();
        if !peer.received.is_empty() {
            let count = peer.received.len().min(buf.remaining());
            buf.put_slice(&peer.received[..count]);
            peer.received.drain(..count);
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut peer.stream).poll_read(cx, buf);
        if read.is_ready() {
            peer.patience = None;
            return read;
        }
        let patience = peer.patience.get_or_insert_with(|| Box::pin(sleep(SOON)));
        let over = patience.as_mut().poll(cx);
        over.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_received_is_read_first_and_nothing_is_waited_for_in_vain() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = Peer::connect(listener.local_addr().unwrap()).await;
        let (mut server, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 204 No Content\r\n\r\nmore";
        server.write_all(answer).await.unwrap();
        assert_eq!(peer.response().await.status, 204);
        let mut read = [0; 4];
        peer.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"more");
        let begun = Instant::now();
        let error = peer.read(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((SOON..SOON * 2).contains(&begun.elapsed()));
    }
}
