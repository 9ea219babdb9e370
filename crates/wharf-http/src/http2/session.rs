//! A stream that has become a WebSocket session (RFC 8441), as its own task sees it.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream};
use wharf_control::{Deadline, Wait, earliest, jittered};
use wharf_pool::config::Limit;
use wharf_pool::{Clock, CloseReason, Command, ConnectionHandle, DryRunReason, Pool, Timestamp};

use super::line::StreamLine;
use super::stream::{News, Stream};
use super::upload::Upload;
use crate::connection::HttpConnection;
use crate::waits::limit_of;
use crate::websocket::{Ended, Port, Session, Settings, Tap, Visit};

/// What a session is made of.
pub(super) struct Parts {
    pub(super) upload: Upload,
    pub(super) send: SendStream<Bytes>,
    pub(super) stream: Arc<Stream>,
    pub(super) clock: Arc<Clock>,
    pub(super) handle: ConnectionHandle<HttpConnection>,
    pub(super) pool: Pool<HttpConnection>,
    /// Whether the handler has agreed on an extension.
    pub(super) extensions: bool,
}

/// A stream that has become a session, in the hands of its task and its handler.
pub(super) struct StreamSession {
    inner: Mutex<Inner>,
    stream: Arc<Stream>,
    clock: Arc<Clock>,
    handle: ConnectionHandle<HttpConnection>,
    pool: Pool<HttpConnection>,
    begun: Timestamp,
}

struct Inner {
    tap: Tap,
    /// Until its end.
    line: Option<StreamLine>,
}

/// How a session is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// Our direction ends in good order.
    Finish,
    /// Both do not.
    Reset,
}

/// The session in its handler's hands.
struct Lent(Arc<StreamSession>);

impl StreamSession {
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            upload,
            send,
            stream,
            clock,
            handle,
            pool,
            extensions,
        } = parts;
        stream.is_session();
        let begun = clock.now();
        let session = Session::on_stream(Settings::of(&pool, extensions), begun);
        let line = StreamLine::new(upload, send, Arc::clone(&stream), Arc::clone(&clock));
        Arc::new(Self {
            inner: Mutex::new(Inner {
                tap: Tap::new(session, &[], begun),
                line: Some(line),
            }),
            stream,
            clock,
            handle,
            pool,
            begun,
        })
    }

    /// For its handler.
    pub(super) fn port(self: &Arc<Self>) -> Arc<dyn Port> {
        Arc::new(Lent(Arc::clone(self)))
    }

    /// Serves it to its end; returns why that came.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the stream is reset.
    pub(super) async fn serve(&self) -> CloseReason {
        let cut = CutOnDrop(self);
        if let Some(command) = self.handle.command() {
            // Others were told before this was a session.
            let now = self.clock.now();
            self.inner().tap.session.leave(command.reason(), now);
        }
        let (reason, last) = poll_fn(|cx| self.poll(cx)).await;
        self.let_go(last);
        drop(cut);
        reason
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // The facts stay true whatever panicked while they were written; the task ends the rest.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<(CloseReason, Last)> {
        self.stream.register(cx);
        let (ended, waiting, due) = {
            let Inner { tap, line } = &mut *self.inner();
            let Some(line) = line else {
                return Poll::Ready((CloseReason::Completed, Last::Reset));
            };
            let ended = self.step(tap, line, cx);
            // What has begun to be waited for is known from here on.
            tap.wants_driver();
            (ended, tap.take_waiting(), self.due(tap))
        };
        waiting.into_iter().flatten().for_each(Waker::wake);
        if ended.is_pending() && self.stream.session_waits(due) {
            self.handle.control().wake();
        }
        ended
    }

    fn step(
        &self,
        tap: &mut Tap,
        line: &mut StreamLine,
        cx: &mut Context<'_>,
    ) -> Poll<(CloseReason, Last)> {
        let now = self.clock.now();
        if self.stream.aborted().is_some() {
            return Poll::Ready((self.told(), Last::Reset));
        }
        if line.poll_reset(cx).is_ready() {
            let reason = tap.session.reason().unwrap_or(CloseReason::PeerReset);
            return Poll::Ready((reason, Last::Reset));
        }
        tap.session.settings.refresh(&self.pool);
        let mut news = self.stream.news();
        news.over = news.over.filter(|wait| !self.rehearses(*wait, tap));
        if let Some(end) = heed(news, tap, line, now) {
            return Poll::Ready(end);
        }
        let ended = ready!(tap.poll_end(line, cx, now));
        let reason = tap.session.reason().unwrap_or(CloseReason::Completed);
        Poll::Ready(end_of(ended, reason))
    }

    /// Whether what is over is so by a limit on a dry run.
    fn rehearses(&self, wait: Wait, tap: &mut Tap) -> bool {
        let limit = if wait == Wait::Rest {
            Some((Limit::MaxAge, DryRunReason::MaxAge))
        } else {
            limit_of(wait)
        };
        let rehearsed = limit.filter(|(limit, _)| tap.session.settings.rehearse(*limit));
        if let Some((_, reason)) = rehearsed {
            self.handle.would_close(reason);
        }
        rehearsed.is_some()
    }

    /// Why the connection ends.
    fn told(&self) -> CloseReason {
        let command = self.handle.command();
        command.map_or(CloseReason::StreamIdle, Command::reason)
    }

    /// What is waited for that is over first.
    fn due(&self, tap: &Tap) -> Option<Deadline> {
        let told = self.handle.command().is_some();
        let age = self
            .age(tap)
            .filter(|_| tap.session.ending_since().is_none());
        earliest([
            tap.session.deadline(told),
            age.and_then(|at| Deadline::at(Wait::Rest, at)),
        ])
    }

    fn age(&self, tap: &Tap) -> Option<Timestamp> {
        let max_age: Duration = tap.session.settings.max_age()?;
        let age = jittered(max_age, 0.1, self.handle.id().as_u64());
        Some(self.begun.after(age))
    }

    /// Takes the bytes away from the handler.
    fn let_go(&self, last: Last) {
        let (waiting, line) = {
            let mut inner = self.inner();
            (inner.tap.cut(), inner.line.take())
        };
        if let Some(mut line) = line {
            match last {
                Last::Finish => line.finish(),
                Last::Reset => line.reset(Reason::CANCEL),
            }
        }
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Does what the driver has said; the end, if it has come.
fn heed(
    news: News,
    tap: &mut Tap,
    line: &mut StreamLine,
    now: Timestamp,
) -> Option<(CloseReason, Last)> {
    if let Some(reason) = news.told {
        tap.session.leave(reason, now);
    }
    match news.over? {
        Wait::Rest => tap.session.leave(CloseReason::MaxAge, now),
        Wait::NextRequest => tap.session.leave(CloseReason::Idle, now),
        Wait::Sign => tap.session.ask(),
        Wait::Pong => {
            if tap.is_silent(line, now) {
                return Some((CloseReason::PongTimeout, Last::Reset));
            }
        }
        Wait::Peer if line.is_blocked() => {
            return Some((CloseReason::StreamIdle, Last::Reset));
        }
        Wait::Peer => {
            if tap.is_silent(line, now) {
                tap.session.is_late(now);
            }
        }
        Wait::Acknowledgement => {
            if !tap.session.answer_for_handler(now) {
                let reason = tap.session.reason().unwrap_or(CloseReason::Completed);
                let last = if tap.is_speaking() {
                    Last::Reset
                } else {
                    Last::Finish
                };
                return Some((reason, last));
            }
        }
        // A wait that a session does not know: it cannot have been asked for.
        Wait::FirstRequest | Wait::Head | Wait::Response | Wait::BodyRate | Wait::ReadRate | _ => {}
    }
    None
}

fn end_of(ended: Ended, reason: CloseReason) -> (CloseReason, Last) {
    match ended {
        Ended::Closed | Ended::PeerGone => (reason, Last::Finish),
        Ended::CutShort => (CloseReason::ApplicationError, Last::Reset),
        Ended::Failed(io::ErrorKind::TimedOut) => (CloseReason::PeerDead, Last::Reset),
        Ended::Failed(_) => (CloseReason::PeerReset, Last::Reset),
    }
}

/// The session ends with its task, also where that is dropped.
struct CutOnDrop<'a>(&'a StreamSession);

impl Drop for CutOnDrop<'_> {
    fn drop(&mut self) {
        self.0.let_go(Last::Reset);
    }
}

impl Port for Lent {
    fn visit(&self, visit: Visit<'_>) {
        let session = &*self.0;
        let wants = {
            let Inner { tap, line } = &mut *session.inner();
            let Some(line) = line else { return };
            let before = tap.is_held_up();
            visit(tap, line, session.clock.now());
            tap.wants_driver() || tap.is_held_up() && !before
        };
        if wants {
            session.stream.wake();
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let now = self.0.clock.now();
        let panicked = std::thread::panicking();
        self.0.inner().tap.handler_left(panicked, now);
        self.0.stream.wake();
    }
}
