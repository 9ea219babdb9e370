//! [`WebSocketReceiver`]: what a client says.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes};
use futures_core::Stream;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::assembly::Assembly;
use super::error::WebSocketError;
use super::message::Message;
use super::outgoing::Frame;
use super::port::{Port, ask};
use super::violation::Violation;

/// How much is read at once, on the stack: a session that hears nothing has no buffer.
const CHUNK: usize = 4096;

/// How much room a large message gets beyond what is there: it may never come.
const AHEAD: usize = 16 * 1024;

/// The half of a session that hears what the client says.
///
/// It has to be read, also by handlers that only send: else nobody learns that the client has closed.
#[derive(Debug)]
pub struct WebSocketReceiver {
    port: Arc<dyn Port>,
    kept: Option<Box<Kept>>,
    over: bool,
}

/// What is here and is no message yet.
#[derive(Debug, Default)]
struct Kept {
    assembly: Assembly,
    /// Received behind a message.
    behind: Bytes,
}

type Heard = Option<Result<Message, WebSocketError>>;

impl WebSocketReceiver {
    /// What was received before is `early`.
    pub(super) fn new(port: Arc<dyn Port>, early: Bytes) -> Self {
        let kept = (!early.is_empty()).then(|| Kept {
            behind: early,
            ..Kept::default()
        });
        Self {
            port,
            kept: kept.map(Box::new),
            over: false,
        }
    }

    /// The next message, its fragments joined. A [`Message::Close`] or an error is the last.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has taken nothing; part of a message is kept.
    pub async fn recv(&mut self) -> Option<Result<Message, WebSocketError>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        while !self.over {
            let fed = match ready!(self.poll_feed(cx)) {
                Ok(Some(fed)) => fed,
                Ok(None) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(WebSocketError::Unclosed)));
                }
                Err(error) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(self.failed(error))));
                }
            };
            if self.kept.as_ref().is_some_and(|kept| kept.is_idle()) {
                self.kept = None;
            }
            match fed {
                Ok(None) => {}
                Ok(Some(message)) => {
                    if let Message::Close(_) = message {
                        self.over = true;
                        let mut answer = Some(Frame::from(message.clone()));
                        ask(&*self.port, |tap, mut line, now| {
                            tap.answer_close(&mut line, cx, answer.take(), now);
                        });
                    }
                    return Poll::Ready(Some(Ok(message)));
                }
                Err(violation) => {
                    self.over = true;
                    ask(&*self.port, |tap, _, now| tap.session.fail(violation, now));
                    return Poll::Ready(Some(Err(WebSocketError::Broken)));
                }
            }
        }
        self.kept = None;
        Poll::Ready(None)
    }

    /// Takes what is kept, or what has come; `None` once the client has closed its direction.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Fed>>> {
        if let Some(kept) = &mut self.kept {
            if !kept.behind.is_empty() {
                return Poll::Ready(Ok(Some(kept.feed_behind())));
            }
            if let Some(wanted) = kept.assembly.wanted().filter(|it| *it > CHUNK) {
                let data = kept.assembly.data();
                data.reserve(wanted.min(AHEAD.max(data.len())));
                let room = wanted.min(data.capacity() - data.len());
                let mut reader = Reader(&*self.port);
                let mut place = data.limit(room);
                let read = ready!(poll_read_buf(Pin::new(&mut reader), cx, &mut place))?;
                return Poll::Ready(Ok((read > 0).then(|| kept.assembly.extended(read))));
            }
        }
        let mut chunk = [0; CHUNK];
        let mut chunk = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut Reader(&*self.port)).poll_read(cx, &mut chunk))?;
        let mut bytes = chunk.filled();
        if bytes.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let kept = self.kept.get_or_insert_default();
        let fed = kept.assembly.feed(&mut bytes);
        if !bytes.is_empty() {
            kept.behind = Bytes::copy_from_slice(bytes);
        }
        Poll::Ready(Ok(Some(fed)))
    }

    fn failed(&self, error: io::Error) -> WebSocketError {
        let broken = ask(&*self.port, |tap, _, _| tap.session.is_deaf());
        if broken == Some(true) {
            WebSocketError::Broken
        } else if error.kind() == io::ErrorKind::ConnectionAborted {
            WebSocketError::Ended
        } else {
            WebSocketError::Failed(error)
        }
    }
}

type Fed = Result<Option<Message>, Violation>;

impl Kept {
    fn is_idle(&self) -> bool {
        self.behind.is_empty() && self.assembly.is_idle()
    }

    fn feed_behind(&mut self) -> Fed {
        let mut bytes = &self.behind[..];
        let fed = self.assembly.feed(&mut bytes);
        let used = self.behind.len() - bytes.len();
        self.behind.advance(used);
        fed
    }
}

impl Stream for WebSocketReceiver {
    type Item = Result<Message, WebSocketError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Heard> {
        self.get_mut().poll_recv(cx)
    }
}

/// The bytes of a session.
struct Reader<'a>(&'a dyn Port);

impl AsyncRead for Reader<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ask(self.0, |tap, mut line, now| {
            tap.poll_read(&mut line, cx, buf, now)
        });
        read.unwrap_or(Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}
