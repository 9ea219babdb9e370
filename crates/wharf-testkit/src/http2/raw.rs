//! [`Raw`]: a peer that sends what it is told, frame by frame.

use std::io::ErrorKind;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{ACK, END_HEADERS, END_STREAM, Frame, GET, Kind, POST, PREFACE, block, frame};

/// A peer that sends what it is told, frame by frame, and answers nothing by itself.
#[derive(Debug)]
pub struct Raw<T> {
    io: T,
    received: Vec<u8>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Raw<T> {
    /// One that has said nothing.
    pub fn over(io: T) -> Self {
        let received = Vec::new();
        Self { io, received }
    }

    /// One that has agreed to speak, and was agreed with.
    pub async fn greeted(io: T) -> Self {
        Self::greeting(io, &[]).await
    }

    /// The same, with entries of SETTINGS.
    pub async fn greeting(io: T, entries: &[u8]) -> Self {
        let mut peer = Self::over(io);
        peer.bytes(PREFACE).await;
        peer.send(Kind::Settings, 0, 0, entries).await;
        let theirs = peer.frame().await.expect("SETTINGS come");
        assert!(theirs.is(Kind::Settings) && theirs.flags == 0);
        peer.send(Kind::Settings, ACK, 0, &[]).await;
        let ours = peer.next(Kind::Settings).await;
        assert_eq!(ours.flags, ACK);
        peer
    }

    /// Sends any bytes.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        assert!(self.try_bytes(bytes).await, "the server has left");
    }

    /// Sends bytes that the server may not take any more.
    pub async fn try_bytes(&mut self, bytes: &[u8]) -> bool {
        self.io.write_all(bytes).await.is_ok()
    }

    /// Sends a frame.
    pub async fn send(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        self.bytes(&frame(kind, flags, stream, payload)).await;
    }

    /// Closes our direction.
    pub async fn finish(&mut self) {
        self.io.shutdown().await.expect("our direction closes");
    }

    /// Asks on this stream, without a body.
    pub async fn get(&mut self, stream: u32, path: &str) {
        let flags = END_STREAM | END_HEADERS;
        self.send(Kind::Headers, flags, stream, &block(GET, path))
            .await;
    }

    /// Asks on this stream, with a body to come.
    pub async fn post(&mut self, stream: u32, path: &str) {
        self.send(Kind::Headers, END_HEADERS, stream, &block(POST, path))
            .await;
    }

    /// Gives so much more room to a stream, or to the connection.
    pub async fn update(&mut self, stream: u32, bytes: u32) {
        self.send(Kind::WindowUpdate, 0, stream, &bytes.to_be_bytes())
            .await;
    }

    /// The next frame; `None` at the end of the connection, whichever it is.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::take(&mut self.received) {
                return Some(frame);
            }
            match self.io.read_buf(&mut self.received).await {
                Ok(1..) => {}
                Ok(0) => return None,
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::TimedOut, "nothing comes");
                    return None;
                }
            }
        }
    }

    /// The next frame of this type.
    pub async fn next(&mut self, kind: Kind) -> Frame {
        loop {
            let frame = self.frame().await.expect("one comes");
            if frame.is(kind) {
                return frame;
            }
        }
    }

    /// All that comes up to the end of the connection.
    pub async fn until_closed(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// The goodbyes that come up to the end of the connection: last streams and codes.
    pub async fn goodbyes(&mut self) -> Vec<(u32, u32)> {
        let frames = self.until_closed().await;
        frames.iter().filter_map(Frame::goodbye).collect()
    }
}
