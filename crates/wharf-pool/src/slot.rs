//! [`Slot`]: the right to hold one connection.

use std::fmt;
use std::sync::Arc;

use crate::RejectReason;
use crate::books::Stay;
use crate::connection::{Connection, Endpoints, Invalid};
use crate::entry::{Entry, Membership};
use crate::guard::ConnectionGuard;
use crate::place::Place;

/// The right to hold one connection: counted against every limit from now on, and given back when
/// it is dropped unused.
#[must_use = "a slot that is dropped is given back"]
pub struct Slot<C: Connection = ()> {
    pub(crate) place: Place<C>,
    pub(crate) held: Held,
    /// On whose place it was taken.
    pub(crate) stay: Stay,
}

/// How a slot is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// For a connection that is about to open.
    Reserved,
    /// For one that is open, and whose guard gives it back.
    Open,
    /// It was given back.
    Ended,
}

impl<C: Connection> Drop for Slot<C> {
    fn drop(&mut self) {
        if self.held == Held::Reserved {
            let shared = self.place.shared();
            shared.books().release(self.place.path(), self.stay);
            shared.tell_freed();
        }
    }
}

/// Whose share a connection is charged to when it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Charge {
    /// To the peer of the socket.
    Peer,
    /// To nobody yet: a trusted proxy will announce the peer.
    Announced,
}

impl<C: Connection> Slot<C> {
    pub(crate) fn take(place: Place<C>) -> Result<Self, RejectReason> {
        let stay = place.shared().books().reserve(place.path())?;
        Ok(Self {
            place,
            held: Held::Reserved,
            stay,
        })
    }

    /// Opens the connection that the slot was taken for. The guard belongs into whatever owns its
    /// bytes, so that the slot is held until the last of them.
    ///
    /// # Errors
    ///
    /// The rate or share that the peer has used up, or [`RejectReason::Invalid`] if the connection
    /// says that it cannot enter. The slot is given back.
    pub fn open(
        mut self,
        endpoints: Endpoints,
        charge: Charge,
        connection: C,
    ) -> Result<ConnectionGuard<C>, RejectReason> {
        if let Some(pool) = self.place.pool()
            && let Err(Invalid(why)) = connection.validate(&endpoints, &pool.config.load())
        {
            tracing::debug!(pool = %pool.name, peer = %endpoints.peer, why, "not let in");
            return Err(RejectReason::Invalid);
        }
        let shared = Arc::clone(self.place.shared());
        let is_charged = charge == Charge::Peer;
        let charged = is_charged.then(|| endpoints.peer.0.ip());
        let (path, now) = (self.place.path(), shared.clock.now());
        let (id, account) = shared.books().open((path, self.stay), charged, now)?;
        self.held = Held::Open;
        let membership = Membership {
            slot: self,
            account,
            is_charged,
            announced: None,
        };
        Ok(ConnectionGuard::open(Entry::new(
            id, shared, connection, endpoints, membership,
        )))
    }
}

impl<C: Connection> fmt::Debug for Slot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listener = &self.place.listener().name;
        f.debug_struct("Slot")
            .field("listener", listener)
            .field("held", &self.held)
            .field("stay", &self.stay)
            .finish()
    }
}
