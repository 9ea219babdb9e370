//! A peer that sends what it is told, frame by frame.

use super::*;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;

/// The types of frames that these tests are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Data = 0x0,
    Headers = 0x1,
    Reset = 0x3,
    Settings = 0x4,
    Ping = 0x6,
    GoAway = 0x7,
    WindowUpdate = 0x8,
    Continuation = 0x9,
}

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    pub(super) fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u8
    }

    /// Of GOAWAY: the last stream that is served, and the code.
    pub(super) fn goodbye(&self) -> Option<(u32, u32)> {
        let [a, b, c, d, rest @ ..] = self.payload.first_chunk::<8>()?;
        let last = u32::from_be_bytes([*a, *b, *c, *d]);
        self.is(Kind::GoAway)
            .then(|| (last, u32::from_be_bytes(*rest)))
    }

    /// Of `RST_STREAM`: the stream and the code.
    pub(super) fn reset(&self) -> Option<(u32, u32)> {
        let code = self.payload.first_chunk()?;
        self.is(Kind::Reset)
            .then(|| (self.stream, u32::from_be_bytes(*code)))
    }
}

/// A frame as it is sent.
pub(super) fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind as u8, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block: `method` is the static table's number of it.
pub(super) fn block(method: u8, path: &str) -> Vec<u8> {
    let mut block = vec![0x80 | method, 0x86, 0x04];
    block.push(u8::try_from(path.len()).unwrap());
    block.extend(path.as_bytes());
    block.extend(b"\x01\x01t");
    block
}

pub(super) const GET: u8 = 2;
pub(super) const POST: u8 = 3;

/// A peer that sends what it is told.
pub(super) struct Raw {
    io: DuplexStream,
    received: Vec<u8>,
}

impl Raw {
    pub(super) fn over(io: DuplexStream) -> Self {
        Self {
            io,
            received: Vec::new(),
        }
    }

    /// One that has agreed to speak, and was agreed with.
    pub(super) async fn greeted(io: DuplexStream) -> Self {
        Self::greeting(io, &[]).await
    }

    /// The same, with entries of SETTINGS.
    pub(super) async fn greeting(io: DuplexStream, entries: &[u8]) -> Self {
        let mut peer = Self::over(io);
        peer.bytes(PREFACE).await;
        peer.send(Kind::Settings, 0, 0, entries).await;
        let theirs = peer.frame().await.unwrap();
        assert!(theirs.is(Kind::Settings) && theirs.flags == 0);
        peer.send(Kind::Settings, ACK, 0, &[]).await;
        let ours = peer.next(Kind::Settings).await;
        assert_eq!(ours.flags, ACK);
        peer
    }

    pub(super) async fn bytes(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    pub(super) async fn send(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        self.bytes(&frame(kind, flags, stream, payload)).await;
    }

    /// Asks on this stream, without a body.
    pub(super) async fn get(&mut self, stream: u32, path: &str) {
        let flags = END_STREAM | END_HEADERS;
        self.send(Kind::Headers, flags, stream, &block(GET, path))
            .await;
    }

    /// Asks on this stream, with a body to come.
    pub(super) async fn post(&mut self, stream: u32, path: &str) {
        self.send(Kind::Headers, END_HEADERS, stream, &block(POST, path))
            .await;
    }

    /// Gives so much more room to a stream, or to the connection.
    pub(super) async fn update(&mut self, stream: u32, bytes: u32) {
        self.send(Kind::WindowUpdate, 0, stream, &bytes.to_be_bytes())
            .await;
    }

    /// The next frame; `None` at the end of the connection.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            match self.io.read_buf(&mut self.received).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// The next frame of this type.
    pub(super) async fn next(&mut self, kind: Kind) -> Frame {
        loop {
            let frame = self.frame().await.expect("one comes");
            if frame.is(kind) {
                return frame;
            }
        }
    }

    /// All that comes up to the end of the connection.
    pub(super) async fn until_closed(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// The goodbyes that come up to the end of the connection: last streams and codes.
    pub(super) async fn goodbyes(&mut self) -> Vec<(u32, u32)> {
        let frames = self.until_closed().await;
        frames.iter().filter_map(Frame::goodbye).collect()
    }

    fn take(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, stream @ ..] = *self.received.first_chunk::<9>()?;
        let end = 9 + usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        let payload = self.received.get(9..end)?.to_vec();
        self.received.drain(..end);
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }
}
