//! A WebSocket session as the driver sees it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};
use wharf_control::{Wait, earliest};
use wharf_pool::config::Limit;
use wharf_pool::{CloseReason, Command, ConnectionHandle, Pool};

use super::conversation::{Conversation, End, Facts, Judgement, LINGER, LastWord, Look, Standing};
use super::{Driver, Fuse, Part};
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::http1::SharedWire;
use crate::protocol::Protocol;
use crate::transport::Transport;
use crate::websocket::{Ended, PATIENCE};
use crate::wire::Wire as _;

/// Serves a session to its end. Its handler has the bytes; we have a say in them.
pub(super) async fn serve<T: Transport>(wire: SharedWire<T>, shared: Arc<Context>) -> Option<Part> {
    let pool = shared.pools.of(Protocol::WebSocket)?;
    let handle = wire.lock().io().handle().clone();
    let fuse = Fuse(&handle);
    let end = {
        let mut driver = Driver::new(&handle, &shared);
        let mut talk = Talk {
            wire: &wire,
            handle: &handle,
            shared: &shared,
            pool,
        };
        poll_fn(|cx| driver.poll(cx, &mut talk)).await
    };
    drop(fuse);
    handle.conclude(end.reason);
    handle.closing();
    // On the heap: only the end needs it.
    Box::pin(part(&wire, end.last)).await;
    None
}

/// Takes the bytes away from the handler and closes, our direction first.
async fn part<T: Transport>(wire: &SharedWire<T>, last: LastWord) {
    let linger = match last {
        LastWord::Nothing { linger } => linger,
        LastWord::Gone => Duration::ZERO,
        LastWord::Cut
        | LastWord::Upgraded
        | LastWord::Parked
        | LastWord::Answer(_)
        | LastWord::GoAway(_) => {
            let waiting = wire.lock().cut_tunnel();
            return waiting.into_iter().flatten().for_each(Waker::wake);
        }
    };
    let waiting = wire.lock().session().map(|(tap, _)| tap.cut());
    let waiting = waiting.into_iter().flatten().flatten();
    waiting.for_each(Waker::wake);
    let until = Instant::now() + LINGER;
    let shut = poll_fn(|cx| Pin::new(wire.lock().io()).poll_shutdown(cx));
    if !matches!(timeout_at(until, shut).await, Ok(Ok(()))) {
        return wire.lock().io().get_ref().reset_on_drop();
    }
    let until = Instant::now() + linger;
    while let Ok(Ok(1..)) = timeout_at(until, poll_fn(|cx| discard(wire, cx))).await {}
}

/// Reads what nobody wants; returns how much that was.
fn discard<T: Transport>(
    wire: &SharedWire<T>,
    cx: &mut TaskContext<'_>,
) -> Poll<io::Result<usize>> {
    let mut discarded = [0; 4096];
    let mut discarded = ReadBuf::new(&mut discarded);
    let read = Pin::new(wire.lock().io()).poll_read(cx, &mut discarded);
    read.map_ok(|()| discarded.filled().len())
}

/// One session.
struct Talk<'a, T: Transport> {
    wire: &'a SharedWire<T>,
    handle: &'a ConnectionHandle<HttpConnection>,
    shared: &'a Context,
    pool: &'a Pool<HttpConnection>,
}

impl<T: Transport> Conversation for Talk<'_, T> {
    fn pool(&self) -> &Pool<HttpConnection> {
        self.pool
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<End> {
        let mut wire = self.wire.lock();
        let ended = wire.poll_session(cx);
        let (waiting, reason) = wire
            .session()
            .map(|(tap, _)| (tap.take_waiting(), tap.session.reason()))
            .unzip();
        drop(wire);
        let reason = reason.flatten().unwrap_or(CloseReason::Completed);
        let waiting = waiting.into_iter().flatten().flatten();
        waiting.for_each(Waker::wake);
        ended.map(|ended| end_of(ended, reason, self.handle))
    }

    fn facts(&mut self, look: &Look) -> Facts {
        let mut wire = self.wire.lock();
        if wire.exchange.is_writing() && look.at_peer {
            wire.look_at_peer(0);
            if let Some(user_timeout) = look.user_timeout {
                wire.io().get_ref().spare_the_living(user_timeout);
            }
        }
        let told = self.handle.command().is_some();
        let (mut timeouts, mut own, mut max_age) = (None, None, None);
        let mut standing = Standing::Busy;
        if let Some((tap, _)) = wire.session() {
            let session = &mut tap.session;
            session.settings.refresh(self.pool);
            timeouts = Some(session.settings.timeouts());
            own = session.deadline(told);
            max_age = session.settings.max_age();
            standing = Standing::Idle(session.ending_since().unwrap_or(session.active()));
        }
        let sending = timeouts.and_then(|limits| wire.exchange.sending(&limits));
        Facts {
            demand: None,
            blocked: wire.exchange.is_writing(),
            standing,
            deadline: earliest([sending, own]),
            max_age,
        }
    }

    fn over(&mut self, wait: Wait) -> Judgement {
        let now = self.shared.clock.now();
        let mut wire = self.wire.lock();
        let writing = wire.exchange.is_writing();
        let Some((tap, io)) = wire.session() else {
            return Judgement::Wait;
        };
        match wait {
            Wait::NextRequest => Judgement::Finish(CloseReason::Idle),
            Wait::Sign => {
                tap.session.ask();
                Judgement::PollAgain
            }
            Wait::Pong if tap.is_silent(io, now) => {
                Judgement::End(End::cut(CloseReason::PongTimeout))
            }
            Wait::Peer if writing => Judgement::End(End::cut(CloseReason::StreamIdle)),
            Wait::Peer => {
                if tap.is_silent(io, now) {
                    tap.session.is_late(now);
                }
                Judgement::PollAgain
            }
            Wait::Pong => Judgement::PollAgain,
            Wait::Acknowledgement if tap.session.answer_for_handler(now) => Judgement::PollAgain,
            Wait::Acknowledgement => {
                let reason = tap.session.reason().unwrap_or(CloseReason::Completed);
                Judgement::End(if tap.is_speaking() {
                    End::cut(reason)
                } else {
                    End::half_close(reason)
                })
            }
            // A wait that this protocol does not know: it cannot have been asked for.
            Wait::FirstRequest
            | Wait::Head
            | Wait::Response
            | Wait::BodyRate
            | Wait::ReadRate
            | Wait::Rest
            | _ => Judgement::Wait,
        }
    }

    fn rehearse(&mut self, limit: Limit) -> bool {
        let mut wire = self.wire.lock();
        wire.session()
            .is_some_and(|(tap, _)| tap.session.settings.rehearse(limit))
    }

    fn say_goodbye(&mut self) {
        let reason = self
            .handle
            .command()
            .map_or(CloseReason::Completed, Command::reason);
        if let Some((tap, _)) = self.wire.lock().session() {
            tap.session.leave(reason, self.shared.clock.now());
        }
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    fn give_up(&mut self) {}
}

/// The end that a session has come to; `reason` is why it has begun to end.
fn end_of(ended: Ended, reason: CloseReason, handle: &ConnectionHandle<HttpConnection>) -> End {
    match ended {
        Ended::Closed => End {
            reason,
            last: LastWord::Nothing { linger: LINGER },
        },
        Ended::PeerGone => End {
            reason,
            last: LastWord::Gone,
        },
        Ended::CutShort => End::cut(CloseReason::ApplicationError),
        Ended::Failed(kind) => {
            let told = handle.command().map(Command::reason);
            End::cut(told.unwrap_or(reason_of(kind)))
        }
    }
}

fn reason_of(error: io::ErrorKind) -> CloseReason {
    if let io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable = error {
        CloseReason::PeerDead
    } else if error == io::ErrorKind::InvalidData {
        // TLS cannot read what the peer sends.
        CloseReason::TlsError
    } else {
        CloseReason::PeerReset
    }
}
