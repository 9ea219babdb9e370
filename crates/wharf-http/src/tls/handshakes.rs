//! [`Handshakes`]: how many handshakes go on at once.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

/// The cap on handshakes of the process that go on at once; who comes later waits its turn, first
/// come first served.
///
/// A handshake costs a processor hundreds of times what its client pays. Nobody has a turn who has
/// not sent a whole `ClientHello`, and who then leaves us waiting for a second loses it: so silent
/// and stalling clients slow others down to no less than the cap each second.
///
/// A clone is the same cap.
#[derive(Clone, Debug)]
pub struct Handshakes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    turns: Semaphore,
    cap: Mutex<Cap>,
    active: AtomicUsize,
    waiting: AtomicUsize,
}

/// The cap, and how many turns that were taken are above it since it was lowered: they are not
/// given on.
#[derive(Debug)]
struct Cap {
    limit: u32,
    above: u32,
}

/// The right to do one handshake; dropped, it is the next one's.
#[derive(Debug)]
pub struct Turn(Arc<Shared>);

impl Default for Handshakes {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

impl Handshakes {
    /// How many go on at once if nothing else is said.
    pub const DEFAULT: NonZeroU32 = NonZeroU32::new(256).expect("256 is not zero");

    /// At most `limit` at once.
    pub fn new(limit: NonZeroU32) -> Self {
        Self(Arc::new(Shared {
            turns: Semaphore::new(count(limit.get())),
            cap: Mutex::new(Cap {
                limit: limit.get(),
                above: 0,
            }),
            active: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }))
    }

    /// The limit in force.
    pub fn limit(&self) -> NonZeroU32 {
        NonZeroU32::new(self.0.cap().limit).unwrap_or(NonZeroU32::MIN)
    }

    /// Changes the limit: a higher one lets waiting handshakes go on at once, under a lower one
    /// those that go on are finished first.
    pub fn set_limit(&self, limit: NonZeroU32) {
        let mut cap = self.0.cap();
        let limit = limit.get();
        if let Some(more) = limit.checked_sub(cap.limit) {
            let back = more.min(cap.above);
            cap.above -= back;
            self.0.turns.add_permits(count(more - back));
        } else {
            let fewer = cap.limit - limit;
            let free = self.0.turns.forget_permits(count(fewer));
            // No more can be forgotten than was asked.
            cap.above += fewer - u32::try_from(free).unwrap_or(fewer);
        }
        cap.limit = limit;
    }

    /// How many go on.
    pub fn active(&self) -> usize {
        self.0.active.load(Ordering::Relaxed)
    }

    /// How many wait for a turn.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a turn. The queue is as long as there are connections, which their limits bound.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait holds nothing, and its place in the queue is gone.
    pub async fn turn(&self) -> Turn {
        let _waiting = Waiting::new(&self.0.waiting);
        loop {
            // It is never closed, which is the only error.
            if let Ok(turn) = self.0.turns.acquire().await {
                turn.forget();
            }
            let mut cap = self.0.cap();
            // Freed by a wait that was dropped just when the limit went down: it is not to be had.
            if cap.above > 0 {
                cap.above -= 1;
                continue;
            }
            self.0.active.fetch_add(1, Ordering::Relaxed);
            return Turn(Arc::clone(&self.0));
        }
    }
}

impl Shared {
    fn cap(&self) -> MutexGuard<'_, Cap> {
        // Two counts that are right between any two instructions under the lock.
        self.cap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut cap = self.0.cap();
        self.0.active.fetch_sub(1, Ordering::Relaxed);
        match cap.above.checked_sub(1) {
            Some(above) => cap.above = above,
            None => self.0.turns.add_permits(1),
        }
    }
}

/// Counts one for as long as it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the semaphore counts with; its own bound is 2^61.
fn count(turns: u32) -> usize {
    usize::try_from(turns).unwrap_or(Semaphore::MAX_PERMITS)
}
