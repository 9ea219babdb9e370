//! The lobby: newcomers that have been accepted and not let in.
//!
//! They hold a descriptor and no slot, so there are few of them and each for a short time. Who
//! finds the lobby full is reset at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use wharf_pool::{Listener, RejectReason, Slot};

use crate::connection::HttpConnection;
use crate::context::Context;
use crate::descriptors::kept_descriptors;
use crate::http2;
use crate::transport::Transport;

/// How many newcomers may be in a listener's lobby, if descriptors allow. One of them stands: the loop
/// has to accept whom it resets because every seat is taken.
const ROOM: usize = 64;

/// How long a newcomer waits for the slot of a connection that was asked to leave.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a newcomer that was refused may take to close.
const LINGER: Duration = Duration::from_millis(500);

/// The answer to who is not let in. The client is to come back soon, but not at once.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\n\
    content-length: 19\r\nretry-after: 1\r\nconnection: close\r\n\r\nserver at capacity\n";

/// Newcomers that have been accepted and not let in.
#[derive(Clone, Debug)]
pub(crate) struct Lobby {
    seats: usize,
    room: Arc<Semaphore>,
}

/// A place in the lobby.
#[derive(Debug)]
pub(crate) struct Seat(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Lobby {
    /// The lobby of one of so many listeners. Together they take at most an eighth of the
    /// descriptors that the process keeps for itself: the rest is for its files and its admin API.
    pub(crate) fn new(listeners: usize) -> Self {
        let kept = kept_descriptors().unwrap_or(usize::MAX);
        let seats = (kept / 8 / listeners.max(1)).clamp(4, ROOM) - 1;
        Self {
            seats,
            room: Arc::new(Semaphore::new(seats)),
        }
    }

    /// How many newcomers are in it.
    pub(crate) fn occupied(&self) -> usize {
        self.seats - self.room.available_permits()
    }

    /// A place, if there is one.
    pub(crate) fn seat(&self) -> Option<Seat> {
        Arc::clone(&self.room).try_acquire_owned().ok().map(Seat)
    }
}

/// Makes room for a newcomer by asking idle connections to leave, and waits a moment for it.
///
/// # Errors
///
/// The limit that keeps it out.
pub(crate) async fn make_room(
    listener: &Listener<HttpConnection>,
    peer: SocketAddr,
    full: RejectReason,
    may_search: bool,
) -> Result<Slot<HttpConnection>, RejectReason> {
    // Before anybody is asked to leave: who is over its own share costs nobody a connection.
    listener.check_source(peer.ip())?;
    if may_search {
        listener.reclaim(peer.ip(), full, 1);
    }
    timeout(PATIENCE, listener.reserved())
        .await
        .map_err(|_| full)
}

/// What newcomers are told, if there is a word for it: before a TLS handshake there is none.
pub(crate) fn words(shared: &Context) -> Option<&'static [u8]> {
    match (&shared.tls, shared.pools.http1(false)) {
        (Some(_), _) => None,
        (None, Some(_)) => Some(FULL),
        (None, None) => Some(http2::REFUSAL),
    }
}

/// Tells a newcomer that it is not let in, and gives it a moment to hear it.
pub(crate) async fn refuse(mut stream: TcpStream, words: &'static [u8], seat: Seat) {
    let until = Instant::now() + LINGER;
    let told = timeout_at(until, async {
        stream.write_all(words).await?;
        stream.shutdown().await
    });
    if matches!(told.await, Ok(Ok(()))) {
        let mut discarded = [0; 2048];
        while let Ok(Ok(1..)) = timeout_at(until, stream.read(&mut discarded)).await {}
    }
    stream.reset_on_drop();
    drop(stream);
    drop(seat);
}
