//! A connection whose bytes belong to another protocol.

use std::future::poll_fn;
use std::sync::{Mutex, PoisonError, Weak};
use std::task::{Poll, Waker};

use tokio::time::timeout;
use wharf_pool::{Command, ConnectionHandle};

use crate::connection::HttpConnection;
use crate::drain::is_drain;
use crate::http1::{SharedWire, Wire};
use crate::transport::Transport;

/// Watches over a connection whose bytes belong to another protocol: nobody can say its goodbye, so
/// it ends by itself, or is cut when its grace is over.
pub(super) async fn outlive<T: Transport>(
    wire: SharedWire<T>,
    handle: &ConnectionHandle<HttpConnection>,
) {
    let grace = wire.lock().settings.max_age_grace;
    let view = wire.downgrade();
    drop(wire);
    let Some(mut told) = heard(&view, handle, |_| true).await else {
        return;
    };
    if let Command::Finish(reason) = told {
        let aborted = heard(&view, handle, |it| matches!(it, Command::Abort(_)));
        let ended = if is_drain(reason) {
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
