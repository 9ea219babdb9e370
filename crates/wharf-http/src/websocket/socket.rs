//! [`WebSocket`]: a session, as its handler has it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;

use super::error::WebSocketError;
use super::message::{CloseFrame, Message};
use super::port::{Port, ask};
use super::receiver::WebSocketReceiver;
use super::send_queue::Queued;
use super::sender::{Pusher, WebSocketSender};

/// A session, as its handler has it; over HTTP/1 and HTTP/2 alike.
///
/// Pings, limits, deadlines and the end of the server are wharf's. Dropped, the session is closed with
/// code 1000 (1011 where the handler panics), after what waits was sent.
#[derive(Debug)]
pub struct WebSocket {
    sender: WebSocketSender,
    receiver: WebSocketReceiver,
}

impl WebSocket {
    /// `early` was received before.
    pub(super) fn new(port: Arc<dyn Port>, early: Bytes) -> Self {
        ask(&*port, |tap, _, _| tap.adopt());
        Self {
            sender: WebSocketSender::new(Arc::clone(&port)),
            receiver: WebSocketReceiver::new(port, early),
        }
    }

    /// As [`WebSocketReceiver::recv`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has taken nothing.
    pub async fn recv(&mut self) -> Option<Result<Message, WebSocketError>> {
        self.receiver.recv().await
    }

    /// As [`WebSocketSender::send`].
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Ended`]: nobody will hear it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has sent nothing.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), WebSocketError> {
        self.sender.send(message).await
    }

    /// As [`WebSocketSender::push`].
    pub fn push(&self, message: impl Into<Message>) -> Queued {
        self.sender.push(message)
    }

    /// As [`WebSocketSender::pusher`].
    pub fn pusher(&self) -> Pusher {
        self.sender.pusher()
    }

    /// As [`WebSocketSender::close`].
    pub fn close(&mut self, why: impl Into<CloseFrame>) {
        self.sender.close(why);
    }

    /// Two halves, for two tasks. The session is closed when both are dropped.
    pub fn split(self) -> (WebSocketSender, WebSocketReceiver) {
        (self.sender, self.receiver)
    }
}

impl Stream for WebSocket {
    type Item = Result<Message, WebSocketError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.get_mut().receiver).poll_next(cx)
    }
}

impl Sink<Message> for WebSocket {
    type Error = WebSocketError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.get_mut().sender).poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        Pin::new(&mut self.get_mut().sender).start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.get_mut().sender).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.get_mut().sender).poll_close(cx)
    }
}
