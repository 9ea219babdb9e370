//! What all pools of a registry share: the clock, the books, the table of connections, the wheel.

use std::sync::{Arc, PoisonError};

use wharf_control::Timestamp;

use crate::PoolName;
use crate::books::{Books, ScopeId};
use crate::connection::Connection;
use crate::entry::Entry;
use crate::events::{Event, EventKind, Events};
use crate::strain::Strain;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Notify, Ordering};
use crate::table::Table;
use crate::wheel::Wheel;

/// A coarse clock: somebody else sets it, about once a [`TICK`](crate::TICK), everybody reads it.
#[derive(Debug, Default)]
pub struct Clock {
    nanos: AtomicU64,
}

impl Clock {
    /// The time at the last tick.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    /// Sets the time; it never goes back.
    pub(crate) fn set(&self, now: Timestamp) {
        self.nanos.fetch_max(now.as_nanos(), Ordering::Relaxed);
    }
}

/// Locks are taken in this order, each for a few instructions: a shard of the table, a connection's
/// membership, the books; a connection's timer, a slot of the wheel. What is dropped under a lock
/// never runs code that is not ours.
pub(crate) struct Shared<C: Connection> {
    pub(crate) clock: Arc<Clock>,
    pub(crate) strain: Arc<Strain>,
    pub(crate) table: Table<Entry<C>>,
    pub(crate) wheel: Wheel<Entry<C>>,
    pub(crate) events: Events,
    /// The scope of the whole process.
    pub(crate) process: ScopeId,
    books: Mutex<Books>,
    /// Told when a slot was given back and somebody waits for one.
    freed: Notify,
    waiting: AtomicUsize,
}

impl<C: Connection> Shared<C> {
    pub(crate) fn new(books: Books, process: ScopeId) -> Self {
        Self {
            clock: Arc::default(),
            strain: Arc::default(),
            table: Table::new(),
            wheel: Wheel::new(),
            events: Events::new(),
            process,
            books: Mutex::new(books),
            freed: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The books. Held for a few counts at a time, never while anybody else's code runs.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        // A panic under this lock is a miscount that the counts themselves catch (they are
        // unsigned); going on with the rest is better than refusing every connection for ever.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells an event that happens now; `make` is not called if nobody listens.
    pub(crate) fn tell(&self, make: impl FnOnce() -> (Option<PoolName>, EventKind)) {
        self.events.tell(|| {
            let (pool, kind) = make();
            Event {
                at: self.clock.now(),
                pool,
                kind,
            }
        });
    }

    /// Tells what limits on a dry run would have done in a scope since this was called last.
    pub(crate) fn tell_rehearsed(&self, scope: ScopeId, pool: Option<&PoolName>) {
        let untold = self.books().take_untold(scope);
        for (reason, connections) in untold {
            let kind = if reason.rejects() {
                EventKind::WouldReject {
                    reason,
                    connections,
                }
            } else {
                EventKind::WouldClose {
                    reason,
                    connections,
                }
            };
            self.tell(|| (pool.cloned(), kind));
        }
    }

    /// To be called after a slot was given back or a limit was raised.
    pub(crate) fn tell_freed(&self) {
        // Whoever waits counts itself before it looks into the books, and the slot went back to the
        // books before this: either the waiter is seen here, or it sees the slot.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_waiters();
        }
    }

    /// Waits until `attempt` succeeds, trying at once and whenever a slot was given back.
    ///
    /// # Cancel safety
    ///
    /// Whatever the attempt takes is in its result; a dropped wait holds nothing.
    pub(crate) async fn wait_for<T, E>(&self, mut attempt: impl FnMut() -> Result<T, E>) -> T {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            // Made before the attempt, it hears of every slot that comes back after it.
            let freed = self.freed.notified();
            if let Ok(taken) = attempt() {
                return taken;
            }
            freed.await;
        }
    }
}

/// Counts one waiter for as long as it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
