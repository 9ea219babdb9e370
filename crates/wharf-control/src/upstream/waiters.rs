//! [`Waiters`]: who waits for a connection, and who is next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Codel, CodelSettings};
use crate::Timestamp;

/// The end of a wait, where the answer is due at `deadline`: a third of what is left now. Who waits longer
/// has too little left for the work.
pub fn longest_wait(deadline: Timestamp, now: Timestamp) -> Timestamp {
    now.after((deadline - now) / 3)
}

/// A bounded queue: the more important first, among equals the one whose deadline is nearest.
///
/// While the queue stands ([`Codel`]) it is the newest among equals instead: whoever has waited long has
/// a client that is about to give up, and serving him makes the next one late too. A full
/// queue takes a newcomer only in the place of someone less important, the last in line. Whoever could not be
/// answered by his deadline is told so when his turn comes. O(log n) for each step.
#[derive(Debug)]
pub struct Waiters<T> {
    most: usize,
    codel: Codel,
    /// In the order of deadlines.
    waiting: BTreeMap<Ticket, Waiter<T>>,
    /// The same, the newest first.
    newest: BTreeSet<Newest>,
    arrivals: u64,
}

/// What a waiter is known by; greater is later in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    importance: Reverse<u8>,
    deadline: Timestamp,
    arrival: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Newest {
    importance: Reverse<u8>,
    arrival: Reverse<u64>,
    deadline: Timestamp,
}

#[derive(Debug)]
struct Waiter<T> {
    since: Timestamp,
    value: T,
}

/// What becomes of a waiter whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all cases are to be handled")]
pub enum Fate {
    /// He is served.
    Serve,
    /// What is left until his deadline is less than the service takes.
    TooLate,
    /// The queue stands and he has waited too long in it.
    Shed,
}

/// The queue is full of those at least as important; here is who wanted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace<T>(pub T);

impl<T> Waiters<T> {
    /// An empty queue for so many at most.
    pub fn new(most: usize, codel: CodelSettings, now: Timestamp) -> Self {
        Self {
            most,
            codel: Codel::new(codel, now),
            waiting: BTreeMap::new(),
            newest: BTreeSet::new(),
            arrivals: 0,
        }
    }

    /// Takes other numbers from now on. Who waits stays, also where there are more than may be now.
    pub const fn set(&mut self, most: usize, codel: CodelSettings) {
        self.most = most;
        self.codel.set(codel);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody does.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a newcomer in: his ticket, and who had to go for him.
    ///
    /// A greater `importance` is more important.
    ///
    /// # Errors
    ///
    /// The newcomer, if there is no place for him.
    pub fn join(
        &mut self,
        importance: u8,
        deadline: Timestamp,
        value: T,
        now: Timestamp,
    ) -> Result<(Ticket, Option<T>), NoPlace<T>> {
        let mut displaced = None;
        if self.waiting.len() >= self.most {
            match self.waiting.last_key_value() {
                Some((&last, _)) if last.importance.0 < importance => displaced = self.leave(last),
                Some(_) | None => return Err(NoPlace(value)),
            }
        }
        let ticket = Ticket {
            importance: Reverse(importance),
            deadline,
            arrival: self.arrivals,
        };
        self.arrivals += 1;
        self.newest.insert(ticket.newest());
        self.waiting.insert(ticket, Waiter { since: now, value });
        Ok((ticket, displaced))
    }

    /// Takes somebody out who waits no longer; `None` if he was no longer there.
    pub fn leave(&mut self, ticket: Ticket) -> Option<T> {
        let waiter = self.waiting.remove(&ticket)?;
        self.newest.remove(&ticket.newest());
        Some(waiter.value)
    }

    /// Whose turn it is, now that there is a connection, and what becomes of him. To be called again until
    /// somebody is served or nobody is left. `service` is what an answer takes, the median.
    pub fn next(&mut self, service: Duration, now: Timestamp) -> Option<(T, Fate)> {
        let standing = self.codel.is_standing(now);
        let ticket = if standing {
            self.newest.first().map(|newest| newest.ticket())
        } else {
            self.waiting.first_key_value().map(|(&ticket, _)| ticket)
        }?;
        let waiter = self.waiting.remove(&ticket)?;
        self.newest.remove(&ticket.newest());
        let shed = self.codel.leaves(now - waiter.since, now);
        if self.waiting.is_empty() {
            self.codel.emptied(now);
        }
        let fate = if now.after(service) > ticket.deadline {
            Fate::TooLate
        } else if shed {
            Fate::Shed
        } else {
            Fate::Serve
        };
        Some((waiter.value, fate))
    }
}

impl Ticket {
    const fn newest(self) -> Newest {
        Newest {
            importance: self.importance,
            arrival: Reverse(self.arrival),
            deadline: self.deadline,
        }
    }
}

impl Newest {
    const fn ticket(self) -> Ticket {
        Ticket {
            importance: self.importance,
            deadline: self.deadline,
            arrival: self.arrival.0,
        }
    }
}

#[cfg(test)]
mod tests;
