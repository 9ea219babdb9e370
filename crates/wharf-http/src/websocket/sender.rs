//! [`WebSocketSender`] and [`Pusher`]: what a client is told.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_sink::Sink;

use super::error::WebSocketError;
use super::message::{CloseCode, CloseFrame, Message};
use super::outgoing::Frame;
use super::port::{Port, ask};
use super::send_queue::Queued;

/// The half of a session that tells the client something.
///
/// What is sent waits in the session's queue (`send_queue`) until the client takes it; the connection's
/// own task sends it from there.
#[derive(Debug)]
pub struct WebSocketSender {
    port: Arc<dyn Port>,
}

/// Tells the client of one session something without waiting for it: for messages that many sessions
/// get. Cheap to clone, and keeps no session open.
#[derive(Clone, Debug)]
pub struct Pusher {
    port: Weak<dyn Port>,
}

impl WebSocketSender {
    pub(super) fn new(port: Arc<dyn Port>) -> Self {
        Self { port }
    }

    /// Sends a message, once there is room for it in the queue: who sends faster than the client
    /// takes waits. One that is larger than the queue is taken while nothing else waits.
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Ended`]: nobody will hear it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has sent nothing.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), WebSocketError> {
        let mut frame = Some(Frame::from(message.into()));
        let sent = poll_fn(|cx| {
            let polled = ask(&*self.port, |tap, mut line, now| {
                tap.poll_send(&mut line, cx, &mut frame, now)
            });
            polled.unwrap_or(Poll::Ready(false))
        });
        done(sent.await)
    }

    /// Sends a message without waiting for anything; what does not fit into the queue is for
    /// `slow_consumer` to decide.
    pub fn push(&self, message: impl Into<Message>) -> Queued {
        push(&*self.port, message.into())
    }

    /// For whoever sends to many sessions.
    pub fn pusher(&self) -> Pusher {
        Pusher {
            port: Arc::downgrade(&self.port),
        }
    }

    /// Ends the session: what waits is sent, then this. The client has 3 seconds to answer; what it
    /// says until then can be heard.
    pub fn close(&mut self, why: impl Into<CloseFrame>) {
        self.say_last(Some(why.into()));
    }

    fn say_last(&self, why: Option<CloseFrame>) {
        let mut frame = Some(Frame::from(Message::Close(why)));
        ask(&*self.port, |tap, _, _| {
            frame.take().is_some_and(|frame| tap.put(frame))
        });
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<Result<(), WebSocketError>> {
        let sent = ask(&*self.port, |tap, mut line, now| {
            tap.poll_sent(&mut line, cx, now)
        });
        sent.unwrap_or(Poll::Ready(false)).map(done)
    }
}

impl Pusher {
    /// As [`WebSocketSender::push`]; [`Queued::Ended`] also where the handler has left.
    pub fn push(&self, message: impl Into<Message>) -> Queued {
        match self.port.upgrade() {
            Some(port) => push(&*port, message.into()),
            None => Queued::Ended,
        }
    }
}

impl PartialEq for Pusher {
    /// Whether both push to the same session.
    fn eq(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.port, &other.port)
    }
}

impl Eq for Pusher {}

fn push(port: &dyn Port, message: Message) -> Queued {
    let mut frame = Some(Frame::from(message));
    let queued = ask(port, |tap, _, now| match frame.take() {
        Some(frame) => tap.push(frame, now),
        None => Queued::Ended,
    });
    queued.unwrap_or(Queued::Ended)
}

fn done(sent: bool) -> Result<(), WebSocketError> {
    if sent {
        Ok(())
    } else {
        Err(WebSocketError::Ended)
    }
}

/// As [`WebSocketSender::send`]; flushed, nothing waits in the queue any more.
impl Sink<Message> for WebSocketSender {
    type Error = WebSocketError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let room = ask(&*self.port, |tap, _, _| tap.poll_room(cx));
        room.unwrap_or(Poll::Ready(false)).map(done)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        let mut frame = Some(Frame::from(message));
        let taken = ask(&*self.port, |tap, _, _| {
            frame.take().is_some_and(|frame| tap.put(frame))
        });
        done(taken.unwrap_or(false))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_sent(cx)
    }

    /// Says Close 1000, if nothing else was said before, and waits until it has gone.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.say_last(Some(CloseCode::NORMAL.into()));
        // Who has left already need not hear it.
        self.poll_sent(cx).map(|_| Ok(()))
    }
}
