//! [`Stream`]: a session on a stream of HTTP/2 (RFC 8441).

use std::future::poll_fn;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};

use super::frame::{extended, length};
use super::masked;
use crate::http2::{Client, asked};

/// A session on a stream of HTTP/2, as its client has it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stream {
    /// The answer to its handshake.
    pub status: StatusCode,
    /// The fields of that answer.
    pub fields: HeaderMap,
    send: SendStream<Bytes>,
    receive: RecvStream,
    here: Vec<u8>,
}

/// A request for a session.
pub fn connect(path: &str) -> Request<()> {
    let mut request = asked(Method::CONNECT, path);
    let version = HeaderValue::from_static("13");
    let fields = request.headers_mut();
    fields.insert("sec-websocket-version", version);
    let spoken = Protocol::from_static("websocket");
    request.extensions_mut().insert(spoken);
    request
}

impl Stream {
    /// Asks for a session, whatever the answer.
    pub async fn ask(client: &Client, request: Request<()>) -> Self {
        let begun = client.begin(request, false).await;
        let begun = begun.expect("the connection takes streams");
        let response = begun.response.await;
        let (head, receive) = response.expect("an answer").into_parts();
        Self {
            status: head.status,
            fields: head.headers,
            send: begun.body,
            receive,
            here: Vec::new(),
        }
    }

    /// Asks for a session and gets it.
    pub async fn open(client: &Client, request: Request<()>) -> Self {
        let stream = Self::ask(client, request).await;
        assert_eq!(stream.status, StatusCode::OK);
        stream
    }

    /// Sends any bytes, as fast as they are taken.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) {
        let mut left = bytes.into();
        while !left.is_empty() {
            self.send.reserve_capacity(left.len());
            let room = poll_fn(|cx| self.send.poll_capacity(cx)).await;
            let room = room.and_then(Result::ok).expect("the stream is open");
            let piece = left.split_to(room.min(left.len()));
            let sent = self.send.send_data(piece, false);
            sent.expect("the stream is open");
        }
    }

    /// Sends a frame.
    pub async fn say(&mut self, first: u8, payload: &[u8]) {
        self.send(masked(first, payload)).await;
    }

    /// The next frame: its first byte, its payload; `None` at the end of the stream, whichever it is.
    pub async fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let data = self.data().await?.ok()?;
            self.here.extend(data);
        }
    }

    /// What comes next, as it comes.
    pub async fn data(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let data = self.receive.data().await?;
        if let Ok(data) = &data {
            let released = self.receive.flow_control().release_capacity(data.len());
            released.expect("it has come");
        }
        Some(data)
    }

    /// Whether nothing more comes but the end, in good order.
    pub async fn is_over(&mut self) -> bool {
        while let Some(data) = self.receive.data().await {
            if !data.is_ok_and(|data| data.is_empty()) {
                return false;
            }
        }
        self.here.is_empty()
    }

    /// How the stream ends: in good order, or by this code. No room is given for what comes before.
    pub async fn end(&mut self) -> Option<Reason> {
        while let Some(data) = self.receive.data().await {
            if let Err(error) = data {
                return error.reason();
            }
        }
        None
    }

    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let [first, second, rest @ ..] = &self.here[..] else {
            return None;
        };
        let (more, short) = extended(*second);
        let (told, rest) = rest.split_at_checked(more)?;
        let length = if more > 0 { length(told) } else { short };
        let frame = (*first, rest.get(..length)?.to_vec());
        self.here.drain(..2 + more + length);
        Some(frame)
    }
}
