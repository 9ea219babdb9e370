//! [`Berth`]: a place in a pool for something that shares its connection with others.

use std::fmt;
use std::sync::Arc;

use crate::books::AccountId;
use crate::connection::Connection;
use crate::pool::Pool;
use crate::shared::Shared;

/// A place in a pool for something that lasts as long as a connection and is none: it shares one, that
/// is counted elsewhere, with others of its kind. It counts against the pool's limit and its source's
/// share there, and is not one of the pool's connections. Dropped, it is given back.
#[must_use = "a berth that is dropped is given back"]
pub struct Berth<C: Connection = ()> {
    pool: Pool<C>,
    shared: Arc<Shared<C>>,
    account: AccountId,
}

impl<C: Connection> Berth<C> {
    pub(crate) fn new(pool: Pool<C>, shared: Arc<Shared<C>>, account: AccountId) -> Self {
        Self {
            pool,
            shared,
            account,
        }
    }

    /// The pool that it is in.
    pub fn pool(&self) -> &Pool<C> {
        &self.pool
    }
}

impl<C: Connection> Drop for Berth<C> {
    fn drop(&mut self) {
        self.shared.books().leave_berth(&self.account);
        self.shared.tell_freed();
    }
}

impl<C: Connection> fmt::Debug for Berth<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Berth")
            .field("pool", self.pool.name())
            .finish_non_exhaustive()
    }
}
