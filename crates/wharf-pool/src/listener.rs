//! [`Listener`]: the door that connections come in by, and the pools behind it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::books::{Occupancy, Path, ScopeId, ScopeLimits};
use crate::config::WhenFull;
use crate::connection::Connection;
use crate::place::Place;
use crate::pool::Pool;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::{CloseReason, DryRunReason, ListenerName, RejectReason, reclaim};

/// The accounting side of a listener: its limits, and the pools that its connections lead to.
/// Cheap to clone.
pub struct Listener<C: Connection = ()> {
    inner: Arc<ListenerInner<C>>,
    /// The pools that a connection can enter first. Not in `inner`, which the pools own.
    entries: Arc<ArcSwap<Vec<Pool<C>>>>,
}

pub(crate) struct ListenerInner<C: Connection> {
    pub(crate) name: ListenerName,
    pub(crate) scope: ScopeId,
    pub(crate) shared: Arc<Shared<C>>,
    failed: AtomicBool,
}

impl<C: Connection> ListenerInner<C> {
    /// The ledgers of a connection that has not got further than this listener.
    pub(crate) fn path(&self) -> Path {
        Path::to_listener(self.shared.process, self.scope)
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

impl<C: Connection> Drop for ListenerInner<C> {
    fn drop(&mut self) {
        self.shared.books().close_scope(self.scope);
    }
}

impl<C: Connection> Listener<C> {
    pub(crate) fn new(name: ListenerName, scope: ScopeId, shared: Arc<Shared<C>>) -> Self {
        let failed = AtomicBool::new(false);
        Self {
            inner: Arc::new(ListenerInner {
                name,
                scope,
                shared,
                failed,
            }),
            entries: Arc::default(),
        }
    }

    pub(crate) fn inner(&self) -> &Arc<ListenerInner<C>> {
        &self.inner
    }

    /// Its name.
    pub fn name(&self) -> &ListenerName {
        &self.inner.name
    }

    /// Says which pools a connection can enter first. With exactly one, connections enter it at
    /// their accept; with more they are counted as detecting until it is known which.
    ///
    /// The pools are this listener's own.
    pub fn leads_to(&self, pools: &[Pool<C>]) {
        debug_assert!(
            pools
                .iter()
                .all(|pool| Arc::ptr_eq(&pool.inner().listener, &self.inner)),
            "a connection is counted at the listener that accepts it"
        );
        self.entries.store(Arc::new(pools.to_vec()));
        self.inner.shared.tell_freed();
    }

    /// How many connections it holds.
    pub fn occupancy(&self) -> Occupancy {
        self.inner.shared.books().occupancy(self.inner.scope)
    }

    /// How many connections ended before it was known what they speak, since start; every reason is
    /// there. Those that ended later are in their pool's metrics.
    pub fn closed_by_reason(&self) -> Vec<(CloseReason, u64)> {
        self.inner
            .shared
            .books()
            .flow(self.inner.scope)
            .closed_by_reason()
    }

    /// What limits on a dry run would have done to connections before it was known what they speak,
    /// since start; every reason is there.
    pub fn dry_run_by_reason(&self) -> Vec<(DryRunReason, u64)> {
        self.inner.shared.books().rehearsed(self.inner.scope)
    }

    /// Tells what is new of that.
    pub(crate) fn tell_rehearsed(&self) {
        self.inner.shared.tell_rehearsed(self.inner.scope, None);
    }

    /// The limits in force.
    pub fn limits(&self) -> ScopeLimits {
        self.inner.shared.books().limits(self.inner.scope).clone()
    }

    /// Puts new limits in force. Over a lower one, idle connections of pools that reclaim are asked
    /// to leave.
    pub fn update_limits(&self, limits: ScopeLimits) {
        let shared = &self.inner.shared;
        // Only the process has a ramp.
        let limit = limits.in_force(Duration::ZERO);
        shared
            .books()
            .set_limits(self.inner.scope, limits, shared.clock.now());
        shared.tell_freed();
        reclaim::shrink(shared, |place| place.is_at(&self.inner), limit);
    }

    /// Asks those to leave who have become idle while it holds more than it may.
    pub(crate) fn shrink_on(&self) {
        let (shared, scope) = (&self.inner.shared, self.inner.scope);
        reclaim::shrink_on(shared, scope, |place| place.is_at(&self.inner));
    }

    /// Notes whether the listener can accept at all: one that cannot makes its pools unavailable.
    pub fn set_failed(&self, failed: bool) {
        self.inner.failed.store(failed, Ordering::Relaxed);
    }

    /// What happens to newcomers while it is full: the policy of the first pool behind it, and how
    /// long they may wait.
    pub fn when_full(&self) -> (WhenFull, Duration) {
        self.entries
            .load()
            .first()
            .map_or((WhenFull::Refuse, Duration::ZERO), |pool| {
                let config = pool.config();
                (config.common.when_full, config.common.queue_timeout)
            })
    }

    /// Whether what is full is the process, and only because it has begun to serve just now: there will
    /// be a place, so a newcomer is to wait, whatever the policy.
    pub fn is_too_early(&self, full: RejectReason) -> bool {
        let shared = &self.inner.shared;
        full == RejectReason::ProcessLimit && shared.books().is_ramping(shared.process)
    }

    /// Takes a slot for a connection that is about to be accepted.
    ///
    /// # Errors
    ///
    /// The limit that is reached: of the process, the listener, or the only pool behind it; with
    /// several pools, that of the last one if every one of them is full.
    pub fn reserve(&self) -> Result<Slot<C>, RejectReason> {
        let entries = self.entries.load();
        if let [_, _, ..] = entries.as_slice() {
            let books = self.inner.shared.books();
            let rooms = entries.iter().map(|pool| books.room(pool.inner().path()));
            rooms.reduce(Result::or).transpose()?;
        }
        Slot::take(self.place(&entries))
    }

    /// Waits for a slot.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait holds nothing.
    pub async fn reserved(&self) -> Slot<C> {
        self.inner.shared.wait_for(|| self.reserve()).await
    }

    /// Whether a newcomer from `address` would be kept out by a rate or by what its source holds.
    ///
    /// # Errors
    ///
    /// The limit that would keep it out.
    pub fn check_source(&self, address: IpAddr) -> Result<(), RejectReason> {
        let shared = &self.inner.shared;
        let path = self.place(&self.entries.load()).path();
        shared
            .books()
            .check_source(path, address, shared.clock.now())
    }

    /// Where a newcomer is counted first.
    fn place(&self, entries: &[Pool<C>]) -> Place<C> {
        match entries {
            [only] => Place::Pool(Arc::clone(only.inner())),
            _ => Place::Door(Arc::clone(&self.inner)),
        }
    }

    /// Asks idle connections to make room for `at_most` newcomers from `address`, of whichever
    /// scope is full. Returns how many were asked; their slots come free within milliseconds if
    /// their peers are well. For a reason other than a full scope it asks nobody.
    pub fn reclaim(&self, address: IpAddr, full: RejectReason, at_most: usize) -> usize {
        let (shared, inner) = (&self.inner.shared, &self.inner);
        if full == RejectReason::ProcessLimit {
            let newcomer = self.place(&self.entries.load()).path();
            reclaim::make_room_in_process(shared, newcomer, address, at_most)
        } else if full == RejectReason::ListenerLimit {
            let here = |place: &Place<C>| place.is_at(inner);
            reclaim::make_room(shared, here, address, at_most)
        } else if full == RejectReason::PoolLimit {
            let pools = self.entries.load();
            let here = |place: &Place<C>| pools.iter().any(|pool| place.is_in(pool.inner()));
            reclaim::make_room(shared, here, address, at_most)
        } else {
            0
        }
    }

    /// Counts a newcomer that was turned away, in the pool that it would have entered first.
    pub fn reject(&self, reason: RejectReason) {
        if let Some(pool) = self.entries.load().first() {
            pool.reject(reason);
        }
    }
}

impl<C: Connection> Clone for Listener<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            entries: Arc::clone(&self.entries),
        }
    }
}

impl<C: Connection> fmt::Debug for Listener<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}
