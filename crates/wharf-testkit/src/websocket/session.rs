//! [`Session`]: a session on a connection of HTTP/1.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frame::{extended, length};
use super::masked;
use crate::http1;

/// A session on a connection of HTTP/1, as its client has it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Session<T> {
    /// What it goes over.
    pub io: T,
    /// The head of the answer to its handshake.
    pub head: String,
}

/// A request for a session; each of `fields` ends with a line end.
fn handshake(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    )
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    /// Asks for a session, whatever the answer.
    pub async fn ask(io: T, path: &str, fields: &str) -> Self {
        Self::begin(io, handshake(path, fields).as_bytes()).await
    }

    /// Asks for a session and gets it.
    pub async fn open(io: T, path: &str) -> Self {
        Self::open_with(io, path, b"").await
    }

    /// The same, with the first frames sent before there is an answer.
    pub async fn open_with(io: T, path: &str, early: &[u8]) -> Self {
        let bytes = [handshake(path, "").as_bytes(), early].concat();
        let session = Self::begin(io, &bytes).await;
        assert!(session.is_open(), "{}", session.head);
        session
    }

    async fn begin(mut io: T, bytes: &[u8]) -> Self {
        let sent = io.write_all(bytes).await;
        sent.expect("the server takes the handshake");
        let head = http1::head(&mut io).await;
        Self { io, head }
    }

    /// Whether it was answered that this is one.
    fn is_open(&self) -> bool {
        self.head.starts_with("HTTP/1.1 101 ")
    }

    /// Sends any bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = self.io.write_all(bytes).await;
        sent.expect("the server takes the bytes");
    }

    /// Sends a frame.
    pub async fn say(&mut self, first: u8, payload: &[u8]) {
        self.send(&masked(first, payload)).await;
    }

    /// The next frame: its first byte, its payload.
    pub async fn hear(&mut self) -> (u8, Vec<u8>) {
        let head = self.take(2).await;
        let (more, short) = extended(head[1]);
        let length = match more {
            0 => short,
            more => length(&self.take(more).await),
        };
        (head[0], self.take(length).await)
    }

    /// Whether nothing more comes but the end, in good order.
    pub async fn is_over(&mut self) -> bool {
        matches!(self.io.read(&mut [0]).await, Ok(0))
    }

    async fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = self.io.read_exact(&mut bytes).await;
        read.expect("a frame comes");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::{BINARY, TEXT, close, hostile};

    #[tokio::test]
    async fn a_server_is_heard_in_frames_of_any_length() {
        let (near, mut far) = tokio::io::duplex(1 << 18);
        let answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        far.write_all(answer).await.unwrap();
        let mut session = Session::open(near, "/").await;
        for length in [0, 125, 126, 0xffff, 0x1_0000] {
            let payload = vec![7; length];
            let frame = hostile::unmasked(BINARY, &payload);
            far.write_all(&frame).await.unwrap();
            assert_eq!(session.hear().await, (BINARY, payload));
        }
        far.write_all(b"\x88\x05\x0f\xa0bye").await.unwrap();
        assert_eq!(session.hear().await, close(4000, "bye"));
        drop(far);
        assert!(session.is_over().await);
    }

    #[test]
    fn a_client_masks_what_it_says() {
        assert_eq!(masked(TEXT, b"abcde"), b"\x81\x85\x01\x02\x03\x04````d");
        let frame = masked(BINARY, &[0; 300]);
        assert_eq!(frame[..8], [BINARY, 0xfe, 1, 44, 1, 2, 3, 4]);
        assert!(frame[8..].chunks(4).all(|four| four == [1, 2, 3, 4]));
    }
}
