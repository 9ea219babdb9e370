//! [`ConnectionGuard`]: one open connection. Dropping it closes the books on it.

use std::fmt;
use std::sync::Arc;

use crate::connection::{Connection, Phase};
use crate::entry::Entry;
use crate::events::EventKind;
use crate::handle::ConnectionHandle;

/// One open connection. Whoever owns the bytes owns the guard; nothing else counts it.
///
/// However it ends (return, panic, cancellation, upgrade into somebody else's hands), the drop is
/// the one event: the slot is given back, the reason is counted, and the removal is told.
#[must_use = "a connection whose guard is dropped is no longer counted"]
pub struct ConnectionGuard<C: Connection = ()> {
    handle: ConnectionHandle<C>,
}

impl<C: Connection> ConnectionGuard<C> {
    pub(crate) fn open(entry: Entry<C>) -> Self {
        let entry = Arc::new(entry);
        entry.shared.table.insert(entry.id, Arc::clone(&entry));
        if entry.state.load().phase != Phase::Detecting {
            let kind = EventKind::ConnectionAdded {
                id: entry.id,
                peer: entry.endpoints.peer.0,
            };
            entry.shared.tell(|| (entry.pool_name(), kind));
        }
        Self {
            handle: ConnectionHandle { entry },
        }
    }

    /// The handle by which others see and steer the connection.
    pub fn handle(&self) -> ConnectionHandle<C> {
        self.handle.clone()
    }

    pub(crate) fn as_handle(&self) -> &ConnectionHandle<C> {
        &self.handle
    }
}

impl<C: Connection> Drop for ConnectionGuard<C> {
    fn drop(&mut self) {
        let (entry, shared) = (&self.handle.entry, &self.handle.entry.shared);
        shared.wheel.remove(entry);
        shared.table.remove(entry.id);
        let reason = entry.end();
        shared.tell_freed();
        shared.tell(|| {
            let (id, peer, age) = (entry.id, entry.peer(), entry.age());
            let requests = entry.requests();
            let kind = EventKind::ConnectionRemoved {
                id,
                peer,
                reason,
                age,
                requests,
            };
            (entry.pool_name(), kind)
        });
    }
}

impl<C: Connection> fmt::Debug for ConnectionGuard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionGuard")
            .field("id", &self.handle.id())
            .finish_non_exhaustive()
    }
}
