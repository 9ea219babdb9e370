//! [`State`]: what the loop remembers, and what it does when `accept` fails.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::unix::AsyncFdReadyGuard;
use tokio::time::{Instant, sleep};
use wharf_control::{AcceptError, Backoff, Timestamp, TokenBucket};
use wharf_pool::RejectReason;

use super::socket::{spare, try_accept};
use super::{Acceptor, BATCH, BREATH};

/// Errors of single connections in a row that are believed to be about those connections.
const PER_CONNECTION_ERRORS: u32 = 100;

/// Searches a second for a connection that may leave: one costs half a millisecond at 15,000.
const SEARCHES: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// What the loop remembers from one round to the next.
pub(super) struct State {
    pub(super) local: SocketAddr,
    /// Given up when descriptors run out, to be able to turn somebody away.
    pub(super) spare: Option<OwnedFd>,
    backoff: Backoff,
    errors_in_a_row: u32,
    /// How often in a row there was no descriptor.
    shortages: u32,
    /// With `when_full = "wait"`: nobody found a slot for `queue_timeout`.
    pub(super) queue_expired: bool,
    pub(super) searches: TokenBucket,
    last_warning: Option<Instant>,
}

impl State {
    /// Before the first round.
    pub(super) fn new(socket: &TcpListener, now: Timestamp) -> io::Result<Self> {
        Ok(Self {
            local: socket.local_addr()?,
            spare: spare(socket),
            backoff: Backoff::new(),
            errors_in_a_row: 0,
            shortages: 0,
            queue_expired: false,
            searches: TokenBucket::new(SEARCHES, now),
            last_warning: None,
        })
    }

    pub(super) fn accepted(&mut self) {
        self.errors_in_a_row = 0;
        self.shortages = 0;
        self.backoff.reset();
    }

    /// Whether it is time for another line in the log.
    fn warns(&mut self) -> bool {
        let now = Instant::now();
        let due = self
            .last_warning
            .is_none_or(|last| now - last >= Duration::from_secs(1));
        if due {
            self.last_warning = Some(now);
        }
        due
    }
}

impl<S> Acceptor<S> {
    /// After an error of `accept`: nothing to do, or a pause. Returns what cannot be recovered.
    pub(super) async fn recover(
        &self,
        error: io::Error,
        ready: &mut AsyncFdReadyGuard<'_, TcpListener>,
        state: &mut State,
    ) -> Option<io::Error> {
        match AcceptError::classify(error.raw_os_error()) {
            AcceptError::Fatal => return Some(error),
            AcceptError::PerConnection if state.errors_in_a_row < PER_CONNECTION_ERRORS => {
                state.errors_in_a_row += 1;
                return None;
            }
            AcceptError::PerConnection | AcceptError::Exhausted => {}
        }
        state.shortages = state.shortages.wrapping_add(1);
        if !state.shortages.is_multiple_of(2) {
            // Peers may have left, and their connections not have noticed: nobody is turned away for
            // descriptors that come free at once.
            sleep(BREATH).await;
            return None;
        }
        let wait = state.backoff.next_wait();
        if state.warns() {
            let listener = self.listener.name();
            tracing::warn!(%listener, %error, retry = ?wait, "cannot accept");
        }
        self.shed(ready, state);
        sleep(wait).await;
        None
    }

    /// Turns newcomers away with the descriptor that was kept for it, so that they hear at once what
    /// they would else learn from their own timeouts.
    fn shed(&self, ready: &mut AsyncFdReadyGuard<'_, TcpListener>, state: &mut State) {
        if state.spare.take().is_none() {
            state.spare = spare(ready.get_inner());
            return;
        }
        for _ in 0..BATCH {
            let Ok((stream, _)) = try_accept(ready) else {
                break;
            };
            self.listener.reject(RejectReason::Pressure);
            // The only error is a socket that is gone already.
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .ok();
        }
        state.spare = spare(ready.get_inner());
    }
}
