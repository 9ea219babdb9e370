//! [`Place`]: where a connection, or a slot for one, is counted.

use std::sync::Arc;

use crate::PoolName;
use crate::books::Path;
use crate::connection::Connection;
use crate::listener::ListenerInner;
use crate::pool::PoolInner;
use crate::shared::Shared;

/// A pool, or only a listener while it is not known what the connection speaks.
pub(crate) enum Place<C: Connection> {
    Door(Arc<ListenerInner<C>>),
    Pool(Arc<PoolInner<C>>),
}

impl<C: Connection> Place<C> {
    pub(crate) fn listener(&self) -> &Arc<ListenerInner<C>> {
        match self {
            Self::Door(listener) => listener,
            Self::Pool(pool) => &pool.listener,
        }
    }

    pub(crate) fn pool(&self) -> Option<&Arc<PoolInner<C>>> {
        match self {
            Self::Door(_) => None,
            Self::Pool(pool) => Some(pool),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<C>> {
        &self.listener().shared
    }

    /// The ledgers of the place.
    pub(crate) fn path(&self) -> Path {
        match self {
            Self::Door(listener) => listener.path(),
            Self::Pool(pool) => pool.path(),
        }
    }

    pub(crate) fn is_in(&self, pool: &Arc<PoolInner<C>>) -> bool {
        self.pool().is_some_and(|there| Arc::ptr_eq(there, pool))
    }

    pub(crate) fn is_at(&self, listener: &Arc<ListenerInner<C>>) -> bool {
        Arc::ptr_eq(self.listener(), listener)
    }

    pub(crate) fn pool_name(&self) -> Option<PoolName> {
        self.pool().map(|pool| pool.name.clone())
    }
}
