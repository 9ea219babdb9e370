//! The record of one live connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use wharf_control::Timestamp;

use crate::books::AccountId;
use crate::connection::{Connection, ConnectionInfo, Endpoints, PeerAddr};
use crate::events::EventKind;
use crate::pool::{Pool, PoolInner};
use crate::shared::Shared;
use crate::slot::{Held, Slot};
use crate::state::StateCell;
use crate::sync::{Mutex, MutexGuard};
use crate::wheel::{Timed, Timer};
use crate::{CloseReason, Command, ConnId, Control, Phase, PoolName};

/// One live connection.
pub(crate) struct Entry<C: Connection> {
    pub(crate) id: ConnId,
    pub(crate) shared: Arc<Shared<C>>,
    pub(crate) connection: C,
    pub(crate) endpoints: Endpoints,
    pub(crate) opened: Timestamp,
    pub(crate) state: StateCell,
    pub(crate) traffic: Traffic,
    pub(crate) control: Control,
    pub(crate) user_agent: OnceLock<Box<str>>,
    /// The first pool that it had a request in, for [`RequestGuard`](crate::RequestGuard).
    pub(crate) home: OnceLock<Pool<C>>,
    timer: Timer,
    /// The place of the reason in [`CloseReason::ALL`], from one; zero while none is decided.
    reason: AtomicU8,
    /// Whether its membership has the peer that a proxy announced: every request asks for its peer.
    is_announced: AtomicBool,
    membership: Mutex<Membership<C>>,
}

/// What a connection has carried.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) requests: AtomicU64,
}

/// How a connection is counted.
pub(crate) struct Membership<C: Connection> {
    /// The slot that it was opened with, in the place where it is now.
    pub(crate) slot: Slot<C>,
    /// What the books count of it.
    pub(crate) account: AccountId,
    /// Whether the source of its peer is charged with it.
    pub(crate) is_charged: bool,
    /// The peer that a proxy announced.
    pub(crate) announced: Option<Box<SocketAddr>>,
}

impl<C: Connection> Timed for Entry<C> {
    fn timer(&self) -> &Timer {
        &self.timer
    }

    fn fire(&self) {
        self.control.wake();
    }
}

impl<C: Connection> Entry<C> {
    pub(crate) fn new(
        id: ConnId,
        shared: Arc<Shared<C>>,
        connection: C,
        endpoints: Endpoints,
        membership: Membership<C>,
    ) -> Self {
        let now = shared.clock.now();
        let phase = match membership.slot.place.pool() {
            Some(_) => Phase::Opening,
            None => Phase::Detecting,
        };
        Self {
            id,
            shared,
            connection,
            endpoints,
            opened: now,
            state: StateCell::new(phase, now),
            traffic: Traffic::default(),
            control: Control::default(),
            user_agent: OnceLock::new(),
            home: OnceLock::new(),
            timer: Timer::default(),
            reason: AtomicU8::new(0),
            is_announced: AtomicBool::new(false),
            membership: Mutex::new(membership),
        }
    }

    pub(crate) fn membership(&self) -> MutexGuard<'_, Membership<C>> {
        // Nothing under this lock panics; what it protects is whole between any two statements.
        self.membership
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_in(&self, pool: &Arc<PoolInner<C>>) -> bool {
        self.membership().slot.place.is_in(pool)
    }

    /// The other end: the one that a trusted proxy announced, else the socket's.
    pub(crate) fn peer(&self) -> SocketAddr {
        if self.is_announced.load(Ordering::Acquire) {
            self.peer_of(&self.membership())
        } else {
            self.endpoints.peer.0
        }
    }

    /// A trusted proxy has said who the peer is.
    pub(crate) fn announce(&self, membership: &mut Membership<C>, peer: SocketAddr) {
        membership.announced = Some(Box::new(peer));
        self.is_announced.store(true, Ordering::Release);
    }

    fn peer_of(&self, membership: &Membership<C>) -> SocketAddr {
        let announced = membership.announced.as_deref();
        announced.copied().unwrap_or(self.endpoints.peer.0)
    }

    /// The address whose source is charged with it, if one is.
    pub(crate) fn charged(&self, membership: &Membership<C>) -> Option<IpAddr> {
        membership.is_charged.then(|| self.peer_of(membership).ip())
    }

    pub(crate) fn pool_name(&self) -> Option<PoolName> {
        self.membership().slot.place.pool_name()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(crate) fn age(&self) -> Duration {
        self.now().since(self.opened)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.traffic.requests.load(Ordering::Relaxed)
    }

    /// Decides for which reason it ends, and tells of a deadline or fault. The first decision holds;
    /// returns whether this was it.
    pub(crate) fn conclude(&self, reason: CloseReason) -> bool {
        let number = reason as u8 + 1;
        let first = self
            .reason
            .compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        if first && (reason.is_timeout() || reason.is_error()) {
            self.shared.tell(|| {
                let (id, peer) = (self.id, self.peer());
                let kind = if reason.is_timeout() {
                    EventKind::ConnectionTimeout { id, peer, reason }
                } else {
                    EventKind::ConnectionError { id, peer, reason }
                };
                (self.pool_name(), kind)
            });
        }
        first
    }

    /// The reason decided so far.
    pub(crate) fn decided(&self) -> Option<CloseReason> {
        let number = self.reason.load(Ordering::Relaxed).checked_sub(1)?;
        CloseReason::ALL.get(usize::from(number)).copied()
    }

    /// Ends it: for the reason decided, or the one that came with the command, or because whoever
    /// held its bytes dropped them.
    pub(crate) fn end(&self) -> CloseReason {
        let told = self
            .control
            .command()
            .map_or(CloseReason::Completed, Command::reason);
        self.conclude(told);
        let reason = self.decided().unwrap_or(told);
        let mut membership = self.membership();
        membership.slot.held = Held::Ended;
        self.shared
            .books()
            .close(&membership.account, (reason, self.age()));
        reason
    }

    pub(crate) fn info(&self) -> ConnectionInfo {
        // The protocol's own code, so not under the lock.
        let usable = self.connection.is_healthy();
        let (state, now) = (self.state.load(), self.now());
        let membership = self.membership();
        let place = &membership.slot.place;
        ConnectionInfo {
            id: self.id,
            peer: PeerAddr(self.peer_of(&membership)),
            local: self.endpoints.local,
            proxy: membership.announced.as_ref().map(|_| self.endpoints.peer),
            listener: place.listener().name.clone(),
            protocol: place.pool().map(|pool| pool.name.protocol().to_owned()),
            user_agent: self.user_agent.get().cloned(),
            phase: state.phase,
            opened: self.opened,
            age: now.since(self.opened),
            idle: if state.in_flight > 0 {
                Duration::ZERO
            } else {
                now.since(state.since)
            },
            bytes_received: self.traffic.received.load(Ordering::Relaxed),
            bytes_sent: self.traffic.sent.load(Ordering::Relaxed),
            requests: self.requests(),
            in_flight: state.in_flight,
            healthy: usable && state.phase != Phase::Closing,
        }
    }
}
