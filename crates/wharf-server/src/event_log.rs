//! [`EventLog`]: the last events, numbered, for those who come later or read slowly.
//!
//! There is one buffer for everybody: who reads it keeps a place in it. Who falls behind its oldest
//! event is told how many it has missed, so nothing is lost in silence and nothing grows.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use wharf_pool::Clock;
use wharf_pool::events::{Event, Subscription};

/// How many events are kept.
const KEPT: usize = 1000;

/// The last events. Numbers begin with 1 and grow by one with each event of this process.
#[derive(Debug)]
pub(crate) struct EventLog {
    /// Tells this process from others, so that a number of theirs is not taken for one of ours.
    era: String,
    ring: Mutex<Ring>,
    latest: watch::Sender<u64>,
    missed: AtomicU64,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<(u64, Event)>,
    next: u64,
}

impl EventLog {
    /// An empty log of a process that is called `era`, in letters and digits.
    pub(crate) fn new(era: String) -> Self {
        Self {
            era,
            ring: Mutex::new(Ring {
                events: VecDeque::with_capacity(KEPT),
                next: 1,
            }),
            latest: watch::Sender::new(0),
            missed: AtomicU64::new(0),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing under this lock panics.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what is told, until there can be no more.
    pub(crate) async fn keep(&self, mut events: Subscription) {
        let mut lost = 0;
        while let Some(event) = events.next().await {
            // What was lost before it got here has its numbers too: that is how a gap shows.
            let skipped = events.lost() - lost;
            lost = events.lost();
            self.put(event, skipped);
        }
    }

    /// The same of what others tell, whose clocks are not ours: it happens when it is heard.
    pub(crate) async fn keep_from(&self, mut others: broadcast::Receiver<Event>, clock: &Clock) {
        let mut skipped = 0;
        loop {
            match others.recv().await {
                Ok(mut event) => {
                    event.at = clock.now();
                    self.put(event, std::mem::take(&mut skipped));
                }
                Err(RecvError::Lagged(events)) => skipped += events,
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn put(&self, event: Event, skipped: u64) {
        let mut ring = self.ring();
        let number = ring.next + skipped;
        ring.next = number + 1;
        if ring.events.len() >= KEPT {
            ring.events.pop_front();
        }
        ring.events.push_back((number, event));
        drop(ring);
        self.latest.send_replace(number);
    }

    /// The id of the event of that number.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.era)
    }

    /// A reader of what comes from now on.
    pub(crate) fn at_end(&self) -> Place {
        Place {
            next: self.ring().next,
            foreign: false,
            latest: self.latest.subscribe(),
        }
    }

    /// A reader of everything after the event of that id; of everything that is kept, if the id is
    /// `0` or one of another process. `None` if it is no id at all.
    pub(crate) fn after(&self, id: &str) -> Option<Place> {
        let (next, foreign) = match id.split_once('-') {
            None if id == "0" => (self.oldest(), false),
            Some((era, number)) if !era.is_empty() => {
                let number: u64 = number.parse().ok()?;
                let ours = era == self.era && number < self.ring().next;
                let next = if ours { number + 1 } else { self.oldest() };
                (next, !ours)
            }
            _ => return None,
        };
        Some(Place {
            next,
            foreign,
            latest: self.latest.subscribe(),
        })
    }

    fn oldest(&self) -> u64 {
        let ring = self.ring();
        ring.events.front().map_or(ring.next, |(number, _)| *number)
    }

    /// The next thing for that reader; `None` once there can be no more.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses nothing.
    pub(crate) async fn read(&self, place: &mut Place) -> Option<Heard> {
        if std::mem::take(&mut place.foreign) {
            return Some(Heard::Missed {
                number: place.next.saturating_sub(1),
                events: None,
            });
        }
        loop {
            // Before the look: what comes after it wakes.
            place.latest.borrow_and_update();
            match self.at(place.next) {
                Some((number, event)) if number == place.next => {
                    place.next += 1;
                    return Some(Heard::Event(number, event));
                }
                Some((number, _)) => {
                    let events = number - place.next;
                    self.missed.fetch_add(events, Ordering::Relaxed);
                    place.next = number;
                    return Some(Heard::Missed {
                        number: number - 1,
                        events: Some(events),
                    });
                }
                None => place.latest.changed().await.ok()?,
            }
        }
    }

    /// The event of that number, or the first after it.
    fn at(&self, number: u64) -> Option<(u64, Event)> {
        let ring = self.ring();
        let at = ring.events.partition_point(|(there, _)| *there < number);
        ring.events.get(at).cloned()
    }

    /// How many events readers have been told that they missed.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// A place in the log.
#[derive(Debug)]
pub(crate) struct Place {
    next: u64,
    /// Whether its reader has heard of another process's events before.
    foreign: bool,
    latest: watch::Receiver<u64>,
}

/// What a reader hears.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// The next event, by its number.
    Event(u64, Event),
    /// Events that are gone: up to that number, and how many; `None` if nobody knows.
    Missed {
        /// The last of them.
        number: u64,
        /// How many.
        events: Option<u64>,
    },
}

#[cfg(test)]
mod tests {
    use wharf_pool::{Registry, ScopeLimits};

    use super::*;

    /// A log with so many events, of which so many were lost before each.
    fn log(events: u64, skipped: u64) -> EventLog {
        let registry = Registry::<()>::new(ScopeLimits::default());
        let mut subscription = registry.events().subscribe();
        let log = EventLog::new("e".to_owned());
        for _ in 0..events {
            registry.tell_drain("test");
            log.put(subscription.try_next().unwrap(), skipped);
        }
        log
    }

    async fn numbers(log: &EventLog, mut place: Place, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        for _ in 0..count {
            match log.read(&mut place).await.unwrap() {
                Heard::Event(number, _) => numbers.push(number),
                Heard::Missed { events, .. } => numbers.push(1_000_000 + events.unwrap_or(0)),
            }
        }
        numbers
    }

    #[tokio::test]
    async fn a_reader_goes_on_after_the_event_that_it_names() {
        let log = log(5, 0);
        assert_eq!(numbers(&log, log.after("e-3").unwrap(), 2).await, [4, 5]);
        assert_eq!(
            numbers(&log, log.after("0").unwrap(), 5).await,
            [1, 2, 3, 4, 5]
        );
    }

    #[tokio::test]
    async fn only_the_last_thousand_are_kept_and_the_gap_is_told() {
        let log = log(1500, 0);
        let heard = numbers(&log, log.after("e-100").unwrap(), 2).await;
        assert_eq!(heard, [1_000_400, 501]);
        assert_eq!(log.missed(), 400);
        assert_eq!(numbers(&log, log.after("0").unwrap(), 1).await, [501]);
    }

    #[tokio::test]
    async fn what_was_lost_before_it_got_here_is_a_gap_too() {
        let log = log(2, 3);
        assert_eq!(
            numbers(&log, log.after("e-4").unwrap(), 2).await,
            [1_000_003, 8]
        );
    }

    #[tokio::test]
    async fn an_id_of_another_process_or_of_the_future_is_a_gap_of_unknown_size() {
        let log = log(2, 0);
        for id in ["other-1", "e-77"] {
            assert_eq!(
                numbers(&log, log.after(id).unwrap(), 2).await,
                [1_000_000, 1]
            );
        }
        for bad in ["", "x", "-", "-1", "e-", "e-x", "e--1"] {
            assert!(log.after(bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_reader_at_end_on_hears_nothing_older() {
        let log = log(3, 0);
        let mut place = log.at_end();
        let nothing =
            tokio::time::timeout(std::time::Duration::from_millis(20), log.read(&mut place));
        assert!(nothing.await.is_err());
        let registry = Registry::<()>::new(ScopeLimits::default());
        let mut events = registry.events().subscribe();
        registry.tell_drain("test");
        log.put(events.try_next().unwrap(), 0);
        assert_eq!(numbers(&log, place, 1).await, [4]);
    }
}
