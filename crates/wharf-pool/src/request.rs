//! [`RequestGuard`]: one unit of work in flight.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::connection::Connection;
use crate::entry::Entry;
use crate::metrics::Outcome;
use crate::pool::Pool;

/// One request in flight. It belongs into the response *body*, which lives until the last byte of
/// the answer, not into the future that makes its head.
#[must_use = "a request whose guard is dropped is over"]
pub struct RequestGuard<C: Connection = ()> {
    entry: Arc<Entry<C>>,
    home: Home<C>,
    outcome: Option<(Outcome, Duration)>,
}

/// The pool that a request counts in, also after its connection has moved.
///
/// As it stands in the connection's own record: workers that each took a reference to the pool itself,
/// for every request, would fight over one counter.
enum Home<C: Connection> {
    First,
    /// A connection that has moved after its first request.
    Other(Pool<C>),
}

impl<C: Connection> RequestGuard<C> {
    pub(crate) fn begin(entry: Arc<Entry<C>>, pool: &Pool<C>) -> Self {
        let first = entry.home.get_or_init(|| pool.clone());
        let home = if Arc::ptr_eq(first.inner(), pool.inner()) {
            Home::First
        } else {
            Home::Other(pool.clone())
        };
        entry.state.begin(entry.now());
        entry.traffic.requests.fetch_add(1, Ordering::Relaxed);
        pool.inner().hot.mine().begin_request();
        Self {
            entry,
            home,
            outcome: None,
        }
    }

    /// Ends the request, which took so long from its head to the last byte of its answer. Dropped
    /// without this, it counts as cancelled.
    pub fn end(mut self, outcome: Outcome, took: Duration) {
        self.outcome = Some((outcome, took));
    }

    fn pool(&self) -> Option<&Pool<C>> {
        match &self.home {
            Home::First => self.entry.home.get(),
            Home::Other(pool) => Some(pool),
        }
    }
}

impl<C: Connection> Drop for RequestGuard<C> {
    fn drop(&mut self) {
        let (outcome, took) = self.outcome.unwrap_or((Outcome::Cancelled, Duration::ZERO));
        if let Some(pool) = self.pool() {
            pool.inner().hot.mine().end_request(outcome, took);
        }
        self.entry.state.end(self.entry.now());
    }
}

impl<C: Connection> fmt::Debug for RequestGuard<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestGuard")
            .field("pool", &self.pool())
            .finish_non_exhaustive()
    }
}
