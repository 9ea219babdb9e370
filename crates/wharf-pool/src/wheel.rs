//! The wheel: one coarse, lazy timer for every connection of a registry.
//!
//! A connection has one deadline. Moving it *later* only stores it; the wheel finds out when it
//! fires, and arms the connection again without waking anybody. Moving it *earlier* than the armed
//! tick re-arms it. So a connection that serves a thousand requests a second touches the wheel a
//! few times a minute.
//!
//! The wheel never fires early: a deadline is rounded up to the next tick, and one tick is added
//! because timestamps of the coarse clock may be one tick old. It fires at most two ticks late, unless so
//! many are due that they are fired in parts.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::vec::IntoIter;

use wharf_control::Timestamp;

/// The length of one tick: the resolution of every coarse deadline.
pub const TICK: Duration = Duration::from_millis(100);

/// 1,024 slots of 100 ms: deadlines further off than 102 s are armed again at the horizon.
const SLOTS: u64 = 1024;

/// A connection's place in the wheel.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    state: Mutex<State>,
    /// Where in its slot the entry stands. Only read and written under that slot's lock.
    index: AtomicU32,
}

#[derive(Debug)]
struct State {
    deadline: Timestamp,
    hand: Hand,
}

/// Whether an entry stands in the wheel: the tick of its slot, or one of two words that no tick is. In
/// one word, since every connection has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hand(u64);

impl Hand {
    /// It does not. No tick: the first that can be armed is the one after.
    const OFF: Self = Self(0);
    /// It was removed, and nobody puts it back.
    const REMOVED: Self = Self(u64::MAX);

    /// The tick of the slot that it stands in.
    const fn armed(self) -> Option<u64> {
        match self {
            Self::OFF | Self::REMOVED => None,
            Self(tick) => Some(tick),
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            deadline: Timestamp::MAX,
            hand: Hand::OFF,
        }
    }
}

/// What stands in the wheel.
pub(crate) trait Timed {
    fn timer(&self) -> &Timer;

    /// Called when the deadline has passed, with no lock held.
    fn fire(&self);
}

#[derive(Debug)]
pub(crate) struct Wheel<E> {
    slots: Box<[Mutex<Vec<Arc<E>>>]>,
    /// The last tick that was turned. Stored before the slot of that tick is emptied.
    turned: AtomicU64,
    /// What is left of that slot.
    due: Mutex<IntoIter<Arc<E>>>,
}

impl<E: Timed> Wheel<E> {
    pub(crate) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
            turned: AtomicU64::new(0),
            due: Mutex::default(),
        }
    }

    /// Sets the deadline of `entry`; [`Timestamp::MAX`] for none. Without effect once it is removed.
    pub(crate) fn set(&self, entry: &Arc<E>, deadline: Timestamp) {
        let mut state = lock(&entry.timer().state);
        state.deadline = deadline;
        if deadline == Timestamp::MAX {
            return;
        }
        match state.hand.armed() {
            None if state.hand == Hand::REMOVED => {}
            None => self.arm(entry, &mut state),
            Some(armed) if self.tick_for(deadline) < armed => {
                self.disarm(entry, &mut state);
                self.arm(entry, &mut state);
            }
            Some(_) => {}
        }
    }

    /// Takes `entry` out of the wheel for good.
    pub(crate) fn remove(&self, entry: &Arc<E>) {
        let mut state = lock(&entry.timer().state);
        self.disarm(entry, &mut state);
        state.hand = Hand::REMOVED;
    }

    /// Fires what is due at `now`, but no more than `most`, and says whether there may be more. To be called about
    /// once a tick, by one caller, and until there is no more.
    pub(crate) fn turn(&self, now: Timestamp, most: usize) -> bool {
        let until = tick_of(now);
        let mut entries = std::mem::take(&mut *lock(&self.due));
        let mut fired = 0;
        loop {
            let tick = self.turned.load(Ordering::Relaxed);
            for entry in entries.by_ref() {
                fired += usize::from(self.look_at(&entry, tick, now));
                if fired >= most {
                    *lock(&self.due) = entries;
                    return true;
                }
            }
            // After a long stop (a suspended process) every slot is looked at once, not more.
            let next = (tick + 1).max(until.saturating_sub(SLOTS - 1));
            if next > until {
                return false;
            }
            self.turned.store(next, Ordering::Relaxed);
            entries = std::mem::take(&mut *self.slot(next)).into_iter();
        }
    }

    /// Fires an entry of the slot of this tick if it is due, and says whether it was.
    fn look_at(&self, entry: &Arc<E>, tick: u64, now: Timestamp) -> bool {
        let mut state = lock(&entry.timer().state);
        // After a stop, the tick that it was armed for may be a round or more ago. Else it was
        // removed, or armed elsewhere, since the slot was emptied.
        if state.hand.armed().is_none_or(|armed| armed > tick) {
            return false;
        }
        state.hand = Hand::OFF;
        if state.deadline == Timestamp::MAX {
            return false;
        }
        let due = state.deadline.after(TICK) <= now;
        if due {
            drop(state);
            entry.fire();
        } else {
            self.arm(entry, &mut state);
        }
        due
    }

    fn arm(&self, entry: &Arc<E>, state: &mut State) {
        loop {
            let tick = self.tick_for(state.deadline);
            let mut slot = self.slot(tick);
            // Since this slot is locked: a tick that has not begun will find the entry, while one
            // that has may have emptied the slot already.
            if self.turned.load(Ordering::Relaxed) < tick {
                entry
                    .timer()
                    .index
                    .store(narrow(slot.len()), Ordering::Relaxed);
                slot.push(Arc::clone(entry));
                state.hand = Hand(tick);
                return;
            }
        }
    }

    fn disarm(&self, entry: &Arc<E>, state: &mut State) {
        let hand = std::mem::replace(&mut state.hand, Hand::OFF);
        let Some(tick) = hand.armed() else {
            return;
        };
        let mut slot = self.slot(tick);
        let index = entry.timer().index.load(Ordering::Relaxed) as usize;
        // The slot may have been emptied by a turn that has not come to this entry yet.
        if slot
            .get(index)
            .is_some_and(|there| Arc::ptr_eq(there, entry))
        {
            slot.swap_remove(index);
            if let Some(moved) = slot.get(index) {
                moved.timer().index.store(narrow(index), Ordering::Relaxed);
            }
            // A slot that held a burst gives its room back.
            if slot.capacity() > 64 && slot.len() < slot.capacity() / 4 {
                let room = slot.len() * 2;
                slot.shrink_to(room);
            }
        }
    }

    /// The tick at which a deadline is looked at: after it, within the horizon, not in the past.
    fn tick_for(&self, deadline: Timestamp) -> u64 {
        let turned = self.turned.load(Ordering::Relaxed);
        let wanted = tick_of(deadline.after(TICK)).saturating_add(1);
        wanted.clamp(turned + 1, turned + SLOTS - 1)
    }

    fn slot(&self, tick: u64) -> MutexGuard<'_, Vec<Arc<E>>> {
        lock(&self.slots[(tick % SLOTS) as usize])
    }
}

/// Nothing that can panic runs under these locks, except an allocation that fails.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "584 years of nanoseconds in ticks fit"
)]
fn tick_of(at: Timestamp) -> u64 {
    at.as_nanos() / TICK.as_nanos() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "four billion connections in one slot"
)]
fn narrow(index: usize) -> u32 {
    index as u32
}

#[cfg(test)]
mod tests;
