//! Listeners and pools that are configured no more.

use super::Registry;
use crate::connection::Connection;
use crate::pool::Pool;
use crate::{ListenerName, PoolName};

impl<C: Connection> Registry<C> {
    /// Forgets a listener and its pools. Connections that they hold go on and are counted; the
    /// names can be given again at once.
    pub fn forget_listener(&self, name: &ListenerName) {
        let (listeners, pools) = {
            let mut members = self.members();
            (
                members
                    .listeners
                    .extract_if(.., |l| l.name() == name)
                    .collect::<Vec<_>>(),
                members
                    .pools
                    .extract_if(.., |p| p.name().listener() == name)
                    .collect::<Vec<_>>(),
            )
        };
        self.end_guarantees(&pools);
        // Dropped outside of the lock: the last owner of a scope closes its ledger.
        drop((pools, listeners));
    }

    /// Forgets a pool. Connections that it holds go on and are counted; the name can be given again
    /// at once.
    pub fn forget_pool(&self, name: &PoolName) {
        let forgotten: Vec<_> = self
            .members()
            .pools
            .extract_if(.., |pool| pool.name() == name)
            .collect();
        self.end_guarantees(&forgotten);
        // Dropped outside of the lock: the last owner of a scope closes its ledger.
        drop(forgotten);
    }

    /// Nobody comes any more for whom places would be kept.
    fn end_guarantees(&self, forgotten: &[Pool<C>]) {
        let shared = &self.inner.shared;
        for pool in forgotten {
            shared.books().end_guarantee(pool.inner().scope);
        }
        shared.tell_freed();
    }
}
