//! The end of a connection: the last words, and the order in which its two directions close.
//!
//! A socket that is closed with bytes of the peer unread is reset by the kernel, and the reset can
//! overtake the answer. So our direction is closed first, and the peer's is read to its end for a
//! short while.

use std::future::poll_fn;
use std::sync::{Mutex, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use wharf_pool::{CloseReason, Command, ConnectionHandle};

use super::{Answer, End};
use crate::connection::HttpConnection;
use crate::http1::{Fate, SharedWire, Wire};
use crate::transport::Transport;

/// For a peer that may still be sending the body of a request that we have answered.
const LINGER: Duration = Duration::from_secs(1);

/// For a peer that owes nothing: only a request that crossed our goodbye can come.
const LINGER_IDLE: Duration = Duration::from_millis(200);

/// For a peer whose place somebody waits for.
const LINGER_RECLAIMED: Duration = Duration::from_millis(50);

/// Ends the connection: says what is to be said, closes, and lets the bytes and the slot go.
pub(super) async fn say<T: Transport>(
    wire: SharedWire<T>,
    handle: &ConnectionHandle<HttpConnection>,
    end: End,
) {
    let said = match end {
        End::Upgraded => return outlive(wire, handle).await,
        End::Finished(result) => {
            // Callbacks run in `conclude`, and may look at the wire: not under its lock.
            let reason = reason_of(&result, &wire.lock(), handle);
            handle.conclude(reason);
            finished(&wire)
        }
        End::Answer(answer) => {
            handle.conclude(answer.reason);
            Said::Answer(answer)
        }
        End::HalfClose(reason) => {
            handle.conclude(reason);
            let linger = if reason == CloseReason::Reclaimed {
                LINGER_RECLAIMED
            } else {
                LINGER_IDLE
            };
            Said::Nothing { linger }
        }
        End::Cut(reason) => {
            handle.conclude(reason);
            Said::Cut
        }
    };
    handle.closing();
    // The driver is the only owner left: hyper is gone, and no handler holds the bytes.
    let Some(wire) = wire.into_inner() else {
        return;
    };
    close(wire, said).await;
}

/// What remains to be said.
enum Said {
    /// Nothing: our direction is closed, and the peer has so long to close its own.
    Nothing { linger: Duration },
    /// A last answer.
    Answer(Answer),
    /// Nothing, and there is nobody to wait for.
    Gone,
    /// Nothing, and what the peer has not taken is thrown away.
    Cut,
}

fn finished<T: Transport>(wire: &SharedWire<T>) -> Said {
    let wire = wire.lock();
    let peer_waits = !wire.fate.read_closed && wire.fate.error.is_none();
    if wire.fate.panicked || wire.fate.app_failed || wire.fate.error.is_some() {
        Said::Cut
    } else if peer_waits && !(wire.fate.peer_ends && wire.is_drained() && !wire.exchange.in_body())
    {
        Said::Nothing { linger: LINGER }
    } else {
        Said::Gone
    }
}

async fn close<T: Transport>(mut wire: Wire<T>, said: Said) {
    let io = wire.io();
    let linger = match said {
        Said::Cut => return io.get_ref().reset_on_drop(),
        Said::Gone => {
            // Only the end of our direction: the peer has asked for it, or has left.
            // A peer that is gone already has nothing to be told.
            drop(timeout(LINGER, io.shutdown()).await);
            return;
        }
        Said::Nothing { linger } => linger,
        Said::Answer(answer) => {
            let text = render(answer);
            if !matches!(
                timeout(LINGER, io.write_all(text.as_bytes())).await,
                Ok(Ok(()))
            ) {
                return io.get_ref().reset_on_drop();
            }
            LINGER
        }
    };
    let until = Instant::now() + linger;
    if !matches!(timeout_at(until, io.shutdown()).await, Ok(Ok(()))) {
        return;
    }
    let mut discarded = [0; 4096];
    while let Ok(Ok(1..)) = timeout_at(until, io.read(&mut discarded)).await {}
}

fn render(answer: Answer) -> String {
    let status = http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::BAD_REQUEST);
    let phrase = status.canonical_reason().unwrap_or("");
    let Answer { status, why, .. } = answer;
    let length = why.len() + 1;
    format!(
        "HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{why}\n"
    )
}

/// The reason of an end that hyper has come to by itself.
fn reason_of<T: Transport>(
    result: &Result<(), hyper::Error>,
    wire: &Wire<T>,
    handle: &ConnectionHandle<HttpConnection>,
) -> CloseReason {
    let Fate {
        read_closed,
        left_amid,
        said_close,
        panicked,
        app_failed,
        error,
        ..
    } = &wire.fate;
    match error {
        _ if *panicked => return CloseReason::Panic,
        _ if *app_failed => return CloseReason::ApplicationError,
        Some(std::io::ErrorKind::TimedOut | std::io::ErrorKind::HostUnreachable) => {
            return CloseReason::PeerDead;
        }
        Some(_) => return CloseReason::PeerReset,
        None => {}
    }
    if *left_amid {
        return CloseReason::PeerReset;
    }
    if let Some(reason) = said_close {
        return *reason;
    }
    match result {
        _ if *read_closed => CloseReason::ClientClosed,
        Err(error) if error.is_parse() => CloseReason::BadRequest,
        Err(_) => CloseReason::ProtocolError,
        Ok(()) => handle
            .command()
            .map_or(CloseReason::Completed, Command::reason),
    }
}

/// Watches over a connection whose bytes belong to another protocol: nobody can say its goodbye, so
/// it ends by itself, or is cut when its grace is over.
async fn outlive<T: Transport>(wire: SharedWire<T>, handle: &ConnectionHandle<HttpConnection>) {
    let grace = wire.lock().settings.max_age_grace;
    let view = wire.downgrade();
    drop(wire);
    let Some(mut told) = heard(&view, handle, |_| true).await else {
        return;
    };
    if let Command::Finish(reason) = told {
        let aborted = heard(&view, handle, |it| matches!(it, Command::Abort(_)));
        let ended = if reason == CloseReason::Drained {
            // The drain has a deadline for all.
            aborted.await
        } else {
            timeout(grace, aborted).await.unwrap_or(Some(told))
        };
        let Some(command) = ended else { return };
        told = command;
    }
    if let Some(wire) = view.upgrade() {
        handle.conclude(told.reason());
        let mut wire = wire.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = wire.cut_tunnel();
        drop(wire);
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Waits for a command that matters; `None` once the bytes are gone.
async fn heard<T>(
    view: &Weak<Mutex<Wire<T>>>,
    handle: &ConnectionHandle<HttpConnection>,
    matters: impl Fn(Command) -> bool,
) -> Option<Command> {
    poll_fn(|cx| {
        // The wire wakes this task when it is dropped.
        handle.control().register(cx);
        if view.strong_count() == 0 {
            return Poll::Ready(None);
        }
        let command = handle.command().filter(|it| matters(*it));
        command.map_or(Poll::Pending, |it| Poll::Ready(Some(it)))
    })
    .await
}
