//! [`ConnectionHandle`]: how others see and steer a live connection.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use wharf_control::Timestamp;

use crate::berth::Berth;
use crate::books::Stay;
use crate::connection::{Connection, ConnectionInfo, Endpoints};
use crate::entry::Entry;
use crate::move_reservation::MoveReservation;
use crate::pool::Pool;
use crate::request::RequestGuard;
use crate::slot::Held;
use crate::{
    CloseReason, Command, ConnId, Control, DryRunReason, ListenerName, Phase, RejectReason, TICK,
};

/// The longest user agent that is kept.
const USER_AGENT_BYTES: usize = 256;

/// A live connection as others see it. It keeps no slot: the connection ends regardless of handles.
pub struct ConnectionHandle<C: Connection = ()> {
    pub(crate) entry: Arc<Entry<C>>,
}

/// What is known of it.
impl<C: Connection> ConnectionHandle<C> {
    /// Its identity.
    pub fn id(&self) -> ConnId {
        self.entry.id
    }

    /// The protocol's side of it.
    pub fn connection(&self) -> &C {
        &self.entry.connection
    }

    /// The listener that accepted it.
    pub fn listener(&self) -> ListenerName {
        self.entry.membership().slot.place.listener().name.clone()
    }

    /// The pool that it is counted in now; `None` while it is not known what it speaks.
    pub fn pool(&self) -> Option<Pool<C>> {
        self.entry
            .membership()
            .slot
            .place
            .pool()
            .cloned()
            .map(Pool::from_inner)
    }

    /// The time at the last tick of the registry's clock.
    pub fn now(&self) -> Timestamp {
        self.entry.now()
    }

    /// The two ends of its socket.
    pub fn endpoints(&self) -> Endpoints {
        self.entry.endpoints.clone()
    }

    /// The other end: the one that a trusted proxy announced, else the socket's.
    pub fn peer(&self) -> SocketAddr {
        self.entry.peer()
    }

    /// Everything that is known of it now.
    pub fn info(&self) -> ConnectionInfo {
        self.entry.info()
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.entry.state.load().phase
    }

    /// Since when it stands there, to the millisecond.
    pub fn since(&self) -> Timestamp {
        self.entry.state.load().since
    }

    /// When it was opened.
    pub fn opened(&self) -> Timestamp {
        self.entry.opened
    }

    /// How many requests it has begun.
    pub fn requests(&self) -> u64 {
        self.entry.requests()
    }

    /// Bytes received and sent so far.
    pub fn bytes(&self) -> (u64, u64) {
        let traffic = &self.entry.traffic;
        (
            traffic.received.load(Ordering::Relaxed),
            traffic.sent.load(Ordering::Relaxed),
        )
    }

    /// The reason decided so far.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.entry.decided()
    }

    /// The command that the connection has been given.
    pub fn command(&self) -> Option<Command> {
        self.entry.control.command()
    }
}

/// What anybody may ask of it.
impl<C: Connection> ConnectionHandle<C> {
    /// How it is told to finish.
    pub fn control(&self) -> &Control {
        &self.entry.control
    }

    /// Asks it to finish: the protocol's goodbye, then the end.
    pub fn begin_close(&self, reason: CloseReason) {
        self.entry
            .connection
            .begin_close(&self.entry.control, reason);
    }

    /// Ends it without a goodbye.
    pub fn abort(&self, reason: CloseReason) {
        self.entry.connection.abort(&self.entry.control, reason);
    }
}

/// What its driver notes.
impl<C: Connection> ConnectionHandle<C> {
    /// Notes that the peer has opened the connection as its protocol asks, and wants nothing yet:
    /// from [`Phase::Opening`] to [`Phase::Idle`]. For protocols in which clients connect early and
    /// wait; without it, a connection without a first request soon counts as silent.
    pub fn greeted(&self) {
        self.entry.state.greeted(self.entry.now());
    }

    /// Notes that the connection has begun to end. Its phase stays [`Phase::Closing`].
    pub fn closing(&self) {
        self.entry.state.closing(self.entry.now());
    }

    /// Decides for which reason it ends. The first decision holds; returns whether this was it.
    pub fn conclude(&self, reason: CloseReason) -> bool {
        self.entry.conclude(reason)
    }

    /// Notes what a limit that is on a dry run would have done to it: counted and told with its pool,
    /// or with its listener while it is not known what it speaks.
    pub fn would_close(&self, reason: DryRunReason) {
        let scope = self.entry.membership().slot.place.path().innermost();
        self.entry.shared.books().rehearse(scope, reason);
    }

    /// Sets the time at which the coarse wheel wakes the connection's task, [`Timestamp::MAX`] for
    /// never. It is woken after that time and at most two ticks late.
    pub fn set_deadline(&self, deadline: Timestamp) {
        self.entry.shared.wheel.set(&self.entry, deadline);
    }

    /// Waits until the connection is told to finish or to end, or, with `None`, until the coarse
    /// clock has passed the deadline. That is asked for again whenever the connection is woken, so
    /// that one which follows the configuration changes with it.
    ///
    /// # Cancel safety
    ///
    /// A command stays until it is read, and the last deadline stays set.
    pub async fn told_or_due(&self, deadline: impl Fn() -> Timestamp) -> Option<Command> {
        poll_fn(|cx| {
            self.control().register(cx);
            if let Some(command) = self.command() {
                return Poll::Ready(Some(command));
            }
            let deadline = deadline();
            // As in the wheel: what the deadline counts from may be a tick older than it looks.
            if deadline.after(TICK) <= self.entry.now() {
                return Poll::Ready(None);
            }
            self.set_deadline(deadline);
            Poll::Pending
        })
        .await
    }

    /// Counts bytes that came from the peer.
    pub fn received(&self, bytes: usize) {
        add(&self.entry.traffic.received, bytes);
    }

    /// Counts bytes that the peer was sent.
    pub fn sent(&self, bytes: usize) {
        add(&self.entry.traffic.sent, bytes);
    }

    /// Keeps the user agent of the first request, cut to 256 bytes.
    pub fn set_user_agent(&self, agent: &str) {
        let cut = || Box::from(&agent[..agent.floor_char_boundary(USER_AGENT_BYTES)]);
        self.entry.user_agent.get_or_init(cut);
    }

    /// Begins a request in `pool`, which is the one that the connection is counted in.
    pub fn begin_request(&self, pool: &Pool<C>) -> RequestGuard<C> {
        RequestGuard::begin(Arc::clone(&self.entry), pool)
    }

    /// Takes the connection out of detection and into `pool`.
    ///
    /// # Errors
    ///
    /// The limit that keeps it out; it is still counted as detecting then.
    pub fn enter(&self, pool: &Pool<C>) -> Result<(), RejectReason> {
        self.reserve_move(pool).map(MoveReservation::commit)
    }

    /// The same, without counting that it was kept out: it may be tried again.
    ///
    /// # Errors
    ///
    /// As [`ConnectionHandle::enter`].
    pub fn try_enter(&self, pool: &Pool<C>) -> Result<(), RejectReason> {
        MoveReservation::attempt(&self.entry, pool).map(MoveReservation::commit)
    }

    /// Takes the connection into `pool` as soon as that has room for it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it holds nothing, and the connection is where it was.
    pub async fn enter_when_free(&self, pool: &Pool<C>) {
        self.entry.shared.wait_for(|| self.try_enter(pool)).await;
    }

    /// Takes a slot in `pool`, for a connection that will perhaps move there. The rate and the share
    /// of its source are charged at once.
    ///
    /// # Errors
    ///
    /// The limit that keeps it out, or [`RejectReason::Invalid`] if the connection says that it
    /// cannot enter, or if the pool is another listener's.
    pub fn reserve_move(&self, pool: &Pool<C>) -> Result<MoveReservation<C>, RejectReason> {
        MoveReservation::take(&self.entry, pool)
    }

    /// Says that the connection stays in its pool: its first request has not made it another's. It may
    /// have been let in on a place that is kept for one of those; if there is no other, it is asked to
    /// finish what is in flight and to leave.
    #[cold]
    pub fn settle(&self) {
        let is_needed = {
            let membership = self.entry.membership();
            let slot = &membership.slot;
            slot.held == Held::Open
                && slot.stay == Stay::Undecided
                && self.entry.shared.books().settle(&membership.account)
        };
        if is_needed {
            self.begin_close(CloseReason::Reclaimed);
        }
    }

    /// Takes a berth in `pool`, for something that this connection carries beside other things. The
    /// rate and the share of its source there are charged.
    ///
    /// # Errors
    ///
    /// The limit that keeps it out.
    pub fn take_berth(&self, pool: &Pool<C>) -> Result<Berth<C>, RejectReason> {
        let shared = &self.entry.shared;
        let scope = pool.inner().scope;
        let charged = self.entry.charged(&self.entry.membership());
        let taken = shared.books().take_berth(scope, charged, self.entry.now());
        let account = taken.inspect_err(|reason| pool.reject(*reason))?;
        Ok(Berth::new(pool.clone(), Arc::clone(shared), account))
    }

    /// Charges the connection to the source that a trusted proxy announced, in place of whom it was
    /// charged to before.
    ///
    /// # Errors
    ///
    /// The rate or share that the source has used up; the connection is charged to nobody then.
    pub fn announce(&self, peer: SocketAddr) -> Result<(), RejectReason> {
        let now = self.entry.now();
        let mut membership = self.entry.membership();
        self.entry.announce(&mut membership, peer);
        if membership.slot.held == Held::Ended {
            return Ok(());
        }
        membership.is_charged = false;
        self.entry
            .shared
            .books()
            .recharge(&membership.account, peer.ip(), now)?;
        membership.is_charged = true;
        Ok(())
    }
}

/// One writer at a time (the task that owns the bytes), so a load and a store are enough and cost
/// a tenth of a read-modify-write.
fn add(counter: &AtomicU64, bytes: usize) {
    counter.store(
        counter.load(Ordering::Relaxed) + bytes as u64,
        Ordering::Relaxed,
    );
}

impl<C: Connection> Clone for ConnectionHandle<C> {
    fn clone(&self) -> Self {
        Self {
            entry: Arc::clone(&self.entry),
        }
    }
}

impl<C: Connection> fmt::Debug for ConnectionHandle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionHandle")
            .field("id", &self.entry.id)
            .finish_non_exhaustive()
    }
}
