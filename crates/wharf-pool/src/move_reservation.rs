//! [`MoveReservation`]: the right to move one connection.

use std::fmt;
use std::sync::Arc;

use crate::RejectReason;
use crate::books::AccountId;
use crate::connection::{Connection, Invalid};
use crate::entry::Entry;
use crate::events::EventKind;
use crate::handle::ConnectionHandle;
use crate::place::Place;
use crate::pool::Pool;
use crate::slot::Held;

/// A slot in another pool of the same listener, for a connection that will perhaps move there.
///
/// It occupies the target from now on; dropped, it is given back; committed, the connection is
/// counted there and no longer where it was, in one step.
#[must_use = "a reservation that is dropped is given back"]
pub struct MoveReservation<C: Connection = ()> {
    entry: Arc<Entry<C>>,
    target: Pool<C>,
    /// What the books count of the slot.
    account: AccountId,
    used: bool,
}

impl<C: Connection> MoveReservation<C> {
    pub(crate) fn take(entry: &Arc<Entry<C>>, target: &Pool<C>) -> Result<Self, RejectReason> {
        Self::attempt(entry, target).inspect_err(|reason| target.reject(*reason))
    }

    /// The same without counting a failure: it may be tried again.
    pub(crate) fn attempt(entry: &Arc<Entry<C>>, target: &Pool<C>) -> Result<Self, RejectReason> {
        let account = Self::charge(entry, target)?;
        Ok(Self {
            entry: Arc::clone(entry),
            target: target.clone(),
            account,
            used: false,
        })
    }

    fn charge(entry: &Entry<C>, target: &Pool<C>) -> Result<AccountId, RejectReason> {
        if let Err(Invalid(why)) = entry
            .connection
            .validate(&entry.endpoints, &target.config())
        {
            tracing::debug!(pool = %target.name(), id = %entry.id, why, "not let in");
            return Err(RejectReason::Invalid);
        }
        let here = entry
            .membership()
            .slot
            .place
            .is_at(&target.inner().listener);
        if !here {
            // Its process and listener slots would be counted in other books than its pool's.
            tracing::error!(pool = %target.name(), id = %entry.id, "the pool is another listener's");
            return Err(RejectReason::Invalid);
        }
        let membership = entry.membership();
        let is_open = membership.slot.held == Held::Open;
        let connection = is_open.then_some(&membership.account);
        let (charged, pool) = (entry.charged(&membership), target.inner().scope);
        let mut books = entry.shared.books();
        books.reserve_move(connection, pool, charged, entry.now())
    }

    /// Moves the connection. Without effect if it has ended meanwhile, or is there already.
    pub fn commit(mut self) {
        let Some(from) = self.change_place() else {
            return;
        };
        let (entry, to) = (&self.entry, &self.target.inner().name);
        if from.pool().is_none() {
            entry.state.detected(entry.now());
        }
        entry.shared.tell(|| {
            let (id, peer, to) = (entry.id, entry.peer(), to.clone());
            match from.pool_name() {
                Some(from) => (Some(from), EventKind::ConnectionMoved { id, peer, to }),
                None => (Some(to), EventKind::ConnectionAdded { id, peer }),
            }
        });
        entry.shared.tell_freed();
    }

    /// Does the move in the books; returns where the connection was.
    fn change_place(&mut self) -> Option<Place<C>> {
        let (entry, target) = (&self.entry, self.target.inner());
        let mut membership = entry.membership();
        if membership.slot.held == Held::Ended || membership.slot.place.is_in(target) {
            return None;
        }
        entry
            .shared
            .books()
            .commit_move(&membership.account, &self.account);
        self.used = true;
        let place = Place::Pool(Arc::clone(target));
        Some(std::mem::replace(&mut membership.slot.place, place))
    }
}

impl<C: Connection> Drop for MoveReservation<C> {
    fn drop(&mut self) {
        if !self.used {
            let shared = &self.entry.shared;
            shared.books().cancel_move(&self.account);
            shared.tell_freed();
            let entry = Arc::clone(&self.entry);
            ConnectionHandle { entry }.settle();
        }
    }
}

impl<C: Connection> fmt::Debug for MoveReservation<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MoveReservation")
            .field("connection", &self.entry.id)
            .field("to", self.target.name())
            .finish_non_exhaustive()
    }
}
