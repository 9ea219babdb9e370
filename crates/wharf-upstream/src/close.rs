//! The end of an upstream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use wharf_pool::{CloseReason, ListenerName, Registry};

use crate::connection::UpstreamConnection;
use crate::upstream::{Inner, Upstream};

/// How often a close looks whether all are gone.
const LOOK: Duration = Duration::from_millis(10);

/// How long tasks may take to end that have nothing left to do. Bytes that somebody else owns, after an
/// upgrade, are his to drop.
const LAST: Duration = Duration::from_secs(1);

impl Upstream {
    /// Takes no more requests, and waits for those in flight; after `grace` they are cut. Returns how many
    /// connections were.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it takes no more requests, and those in flight go on.
    pub async fn close(&self, grace: Duration) -> usize {
        self.end(grace).await
    }

    /// The same where another upstream takes its place: requests that are not sent yet are `successor`'s, those that
    /// wait for a connection included.
    ///
    /// # Cancel safety
    ///
    /// As [`Self::close`].
    pub async fn close_for(&self, successor: &Self, grace: Duration) -> usize {
        let itself = Arc::ptr_eq(&self.inner, &successor.inner);
        if !itself && self.inner.successor.set(successor.clone()).is_err() {
            tracing::debug!(upstream = %self.name(), "there is a successor already");
        }
        self.end(grace).await
    }

    async fn end(&self, grace: Duration) -> usize {
        let context = self.context();
        context.closing.cancel();
        context.pool.close_all(CloseReason::Drained);
        let left = async {
            while context.pool.active() > 0 {
                sleep(LOOK).await;
            }
        };
        let mut cut = 0;
        if timeout(grace, left).await.is_err() {
            for handle in context.pool.connections() {
                handle.abort(CloseReason::DrainDeadline);
                cut += 1;
            }
        }
        self.inner.registration.end();
        context.closed.cancel();
        context.tasks.close();
        if timeout(LAST, context.tasks.wait()).await.is_err() {
            tracing::warn!(upstream = %self.name(), "tunnels are left open by whoever has them");
        }
        cut
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What is in flight ends by itself; nothing begins any more.
        self.context.closing.cancel();
        self.context.pool.close_all(CloseReason::Drained);
        self.registration.end();
        self.context.closed.cancel();
    }
}

/// The upstream's place in the registry, given up once: the name may be another's by then.
pub(crate) struct Registration {
    registry: Registry<UpstreamConnection>,
    name: ListenerName,
    ended: AtomicBool,
}

impl Registration {
    pub(crate) fn new(registry: &Registry<UpstreamConnection>, name: &ListenerName) -> Self {
        Self {
            registry: registry.clone(),
            name: name.clone(),
            ended: AtomicBool::new(false),
        }
    }

    pub(crate) const fn registry(&self) -> &Registry<UpstreamConnection> {
        &self.registry
    }

    fn end(&self) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.registry.forget_listener(&self.name);
        }
    }
}
