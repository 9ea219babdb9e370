//! [`Endpoint`]: one server, the connections to it, and what is known of how well it does.

mod attempt;
mod codec;
mod lease;
mod ledger;
mod links;
mod load;
mod presence;
mod seat;
mod silence;
mod standing;

pub(crate) use attempt::{Attempt, For};
pub(crate) use codec::{Sender, Sent};
pub(crate) use lease::{Granted, Lease, LeaseError, Patience, Stale};
pub(crate) use load::{Asks, Load};
pub(crate) use presence::Presence;
pub(crate) use seat::Seat;
pub(crate) use standing::{Answer, Standing};

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharf_control::upstream::{Admission, PoolUse};
use wharf_pool::ConnId;

use crate::address::EndpointAddress;
use crate::check::Schedule;
use crate::context::Context;
use crate::tally::Tally;
use ledger::{Grant, Ledger, Turn};

/// One server that requests are sent to. All workers share it: what one of them has learnt of it all know.
pub(crate) struct Endpoint {
    pub(crate) address: EndpointAddress,
    /// Its share, beside the others' weights.
    weight: AtomicU32,
    pub(crate) context: Arc<Context>,
    ledger: Mutex<Ledger>,
    standing: Mutex<Standing>,
    /// Requests that were given to it and have not ended, those that wait for a connection included.
    load: AtomicU32,
    pub(crate) tally: Tally,
    schedule: Mutex<Schedule>,
    /// Whether health checks say that it is not well.
    down: AtomicBool,
    /// Whether it is no longer one of the upstream's.
    left: AtomicBool,
    seed: u64,
}

impl Endpoint {
    pub(crate) fn new(address: EndpointAddress, weight: u32, context: &Arc<Context>) -> Arc<Self> {
        let now = context.clock.now();
        let settings = context.config();
        let seed = context.random().next_u64();
        Arc::new(Self {
            ledger: Mutex::new(Ledger::new(address.scheme(), &settings, seed, now)),
            standing: Mutex::new(Standing::new(now)),
            address,
            weight: AtomicU32::new(weight),
            context: Arc::clone(context),
            load: AtomicU32::new(0),
            tally: Tally::default(),
            schedule: Mutex::new(Schedule::new()),
            down: AtomicBool::new(false),
            left: AtomicBool::new(false),
            seed,
        })
    }

    /// Its share, beside the others' weights.
    pub(crate) fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// It gets another share from now on: whoever chooses reads it again.
    pub(crate) fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Its connections. Nothing of anybody else's runs under the lock, and nothing is dropped.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How well it does. Taken before the budget of ejections, never with the ledger.
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it is asked whether it is well.
    pub(crate) fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number of its own.
    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether health checks say that it is not well.
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Health checks say whether it is well.
    pub(crate) fn turned(self: &Arc<Self>, up: bool) {
        if self.has_left() || self.down.swap(!up, Ordering::AcqRel) != up {
            return;
        }
        self.context.turned(up);
        // It may have left in between: one of the two sees what the other has done, and counts it back.
        if self.has_left() && self.down.swap(false, Ordering::AcqRel) {
            self.context.turned(true);
            return;
        }
        if up {
            let now = self.context.clock.now();
            self.standing().back(&mut self.context.budget(), now);
            self.tell("ready", "health_check");
            self.grow();
        } else {
            self.tell("down", "health_check");
        }
    }

    /// Whether it is no longer one of the upstream's.
    fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Nobody asks any more: it is well until something else is known.
    pub(crate) fn unchecked(self: &Arc<Self>) {
        if self.is_down() {
            *self.schedule() = Schedule::new();
            self.turned(true);
        }
    }

    /// Tells whoever listens that it is given something else from now on.
    fn tell(&self, state: &'static str, cause: &'static str) {
        tracing::info!(endpoint = %self.address, state, cause, "endpoint changed");
        self.context.pool.tell_endpoint(&self.address, state, cause);
    }

    /// Requests that were given to it and have not ended.
    pub(crate) fn in_flight(&self) -> u32 {
        self.load.load(Ordering::Relaxed)
    }

    /// Whether nothing can be sent to it: it is left alone, or has no connection and none could be made.
    pub(crate) fn is_lost(&self) -> bool {
        let now = self.context.clock.now();
        let left = self.is_down() || self.standing().admission(now) == Admission::Leave;
        left || self.ledger().is_unreachable()
    }

    /// Whether it has a connection.
    pub(crate) fn is_warm(&self) -> bool {
        let usage = self.usage();
        usage.in_use + usage.idle > 0
    }

    /// What its connections are doing.
    pub(crate) fn usage(&self) -> PoolUse {
        self.ledger().usage()
    }

    /// Lets whoever is next have what is free, then begins the connections that are missing. To be called
    /// after every change.
    pub(crate) fn settle(self: &Arc<Self>) {
        loop {
            // The guard ends with this statement: whoever is told may run at once.
            let now = self.context.clock.now();
            let pool = &self.context.pool;
            let turn = pool.with_config(|config| self.ledger().turn(config, now));
            let Some(Turn { waiter, granted }) = turn else {
                break;
            };
            let granted = granted.map(|grant| match grant {
                Grant::Loan(loan) => Granted::Lease(Lease::new(Arc::clone(self), loan)),
                Grant::Room => Granted::Room(Attempt::counted(self)),
            });
            // One that is gone has left what it was given here, and a lease that is dropped is given back.
            drop(waiter.send(granted));
        }
        if self.has_left() {
            // Also what was on its way when the endpoint left.
            self.retire_all_idle();
        }
        self.grow();
    }

    /// Begins the connections that are missing.
    pub(crate) fn grow(self: &Arc<Self>) {
        if self.context.closing.is_cancelled() {
            return;
        }
        let now = self.context.clock.now();
        let well = !self.is_down() && self.standing().admission(now) == Admission::Serve;
        let pool = &self.context.pool;
        let attempts = pool.with_config(|config| self.ledger().grow(config, well, now));
        for _ in 0..attempts {
            Attempt::begin(self);
        }
    }

    /// Takes a connection out of use; who uses it goes on.
    pub(crate) fn retire(&self, id: ConnId) {
        let gone = self.ledger().links.retire(id);
        drop(gone);
    }

    /// Takes a connection out of use if nobody uses it; returns whether it was.
    pub(crate) fn retire_idle(&self, id: ConnId) -> bool {
        let gone = self.ledger().links.retire_idle(id);
        gone.is_some()
    }

    /// It is no longer one of the upstream's: nothing is begun any more, what is in flight ends.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
        if self.down.swap(false, Ordering::AcqRel) {
            self.context.turned(true);
        }
        let gone = self.ledger().leave();
        drop(gone);
        let now = self.context.clock.now();
        let mut standing = self.standing();
        standing.reinstate(&mut self.context.budget(), now);
    }

    /// Sessions that are open.
    pub(crate) fn sessions(&self) -> u32 {
        self.ledger().sessions()
    }

    /// Makes a connection in the place of one that is about to go, where one carries many requests: they would
    /// wait for it.
    ///
    /// Boxed, since the end of a connection begins another one: the type would contain itself.
    pub(crate) fn replace(self: &Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let multiplexed = self.ledger().links.multiplexed().is_some();
        match multiplexed.then(|| Attempt::beside(self)).flatten() {
            Some(attempt) => Box::pin(attempt.run()),
            None => Box::pin(std::future::ready(())),
        }
    }

    /// Takes out of use what is more than needed.
    pub(crate) fn trim(&self) -> Vec<Sender> {
        self.ledger().trim(self.context.clock.now())
    }

    /// Takes out of use all connections that nobody uses.
    pub(crate) fn retire_all_idle(&self) {
        let gone = self.ledger().links.retire_all_idle();
        drop(gone);
    }

    /// The codec of a connection whose answer was read to its end has perhaps become ready.
    pub(crate) fn returned(self: &Arc<Self>, id: ConnId) {
        if self.ledger().links.returned(id) {
            self.settle();
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
