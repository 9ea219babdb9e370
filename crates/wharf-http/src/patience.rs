//! [`within`]: what a peer owes before it is known what it speaks.

use std::pin::pin;
use std::task::Poll;

use wharf_pool::{CloseReason, Command, ConnectionHandle, TICK, Timestamp};

use crate::connection::HttpConnection;
use crate::context::Context;
use crate::drain::is_drain;

/// Waits for something that the peer owes before it is known what it speaks: until `limit`, or until
/// the connection is told to end. During a drain its request may be on the way, as that of any other.
///
/// # Errors
///
/// The reason for which the connection ends: `late`, the command's, or what `owed` says.
pub(crate) async fn within<R>(
    handle: &ConnectionHandle<HttpConnection>,
    shared: &Context,
    limit: Timestamp,
    late: CloseReason,
    owed: impl Future<Output = Result<R, CloseReason>>,
) -> Result<R, CloseReason> {
    let (mut limit, mut late) = (limit, late);
    handle.set_deadline(limit);
    let mut owed = pin!(owed);
    std::future::poll_fn(|cx| {
        handle.control().register(cx);
        match handle.command() {
            Some(Command::Finish(reason)) if is_drain(reason) && late == reason => {}
            Some(Command::Finish(reason)) if is_drain(reason) => {
                late = reason;
                limit = limit.min(shared.clock.now().after(shared.drain.goodbyes().linger));
                handle.set_deadline(limit);
            }
            Some(Command::Abort(reason) | Command::Finish(reason)) => {
                return Poll::Ready(Err(reason));
            }
            _ => {}
        }
        if limit.after(TICK) <= shared.clock.now() {
            return Poll::Ready(Err(late));
        }
        owed.as_mut().poll(cx)
    })
    .await
}
