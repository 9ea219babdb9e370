//! The end of a connection: the last words, and the order in which its two directions close.
//!
//! A socket that is closed with bytes of the peer unread is reset by the kernel, and the reset can
//! overtake the answer. So our direction is closed first, and the peer's is read to its end for a
//! short while.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use wharf_pool::{ConnectionHandle, Tracked};

use super::conversation::{Answer, End, LINGER, LastWord};
use crate::connection::HttpConnection;
use crate::shared_wire::SharedWire;
use crate::transport::Transport;
use crate::wire::Wire;

/// Ends the connection: says what is to be said, closes, and lets the bytes and the slot go.
pub(super) async fn say<W: Wire>(
    wire: SharedWire<W>,
    handle: &ConnectionHandle<HttpConnection>,
    end: End,
) {
    handle.conclude(end.reason);
    handle.closing();
    // The driver is the only owner left: the codec is gone, and no handler holds the bytes.
    let Some(mut wire) = wire.into_inner() else {
        return;
    };
    close(wire.io(), end.last).await;
}

/// Says the last word and closes, without the wire.
pub(super) async fn close<T: Transport>(io: &mut Tracked<T, HttpConnection>, last: LastWord) {
    let linger = match last {
        LastWord::Cut | LastWord::Upgraded | LastWord::Parked => {
            return io.get_ref().reset_on_drop();
        }
        LastWord::Gone => {
            // Only the end of our direction: the peer has asked for it, or has left.
            // A peer that is gone already has nothing to be told.
            drop(timeout(LINGER, io.shutdown()).await);
            return;
        }
        LastWord::Nothing { linger } => linger,
        LastWord::Answer(answer) => {
            let text = render(answer);
            if !said(io, text.as_bytes()).await {
                return io.get_ref().reset_on_drop();
            }
            LINGER
        }
        LastWord::GoAway(frame) => {
            if !said(io, frame.as_bytes()).await {
                return io.get_ref().reset_on_drop();
            }
            LINGER
        }
    };
    let until = Instant::now() + linger;
    if !matches!(timeout_at(until, io.shutdown()).await, Ok(Ok(()))) {
        return;
    }
    // On the heap: in the task, every connection would hold it from its first byte on.
    let mut discarded = vec![0; 4096];
    while let Ok(Ok(1..)) = timeout_at(until, io.read(&mut discarded)).await {}
}

/// Whether the peer has taken these bytes in time.
async fn said<T: Transport>(io: &mut Tracked<T, HttpConnection>, bytes: &[u8]) -> bool {
    matches!(timeout(LINGER, io.write_all(bytes)).await, Ok(Ok(())))
}

fn render(answer: Answer) -> String {
    let status = http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::BAD_REQUEST);
    let phrase = status.canonical_reason().unwrap_or("");
    let retry = if status == http::StatusCode::SERVICE_UNAVAILABLE {
        "retry-after: 1\r\n"
    } else {
        ""
    };
    let Answer { status, why, .. } = answer;
    let length = why.len() + 1;
    format!(
        "HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\
         {retry}connection: close\r\n\r\n{why}\n"
    )
}
