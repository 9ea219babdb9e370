//! [`Line`]: who waits for a place under the limit, and who is next.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Level;
use crate::Timestamp;

/// A bounded line: the most important first, and whoever is less important than all that there is room for leaves first.
///
/// So the levels that are served are those that there are places for, without anything to measure or to tune: the line
/// finds the threshold by itself, and no place stays free while somebody waits.
///
/// Among equals the oldest is next, for as long as the line is a burst that passes. If it has not been empty for 100 ms, it stands: then
/// the newest is next, and newcomers wait for 50 ms at most in place of 100 ms (as Facebook has it, "Fail at Scale", 2015; with its 5 ms
/// the threshold between levels blurs). Whoever has
/// waited long has a client that is about to give up, and serving him makes the next one late too.
/// O(log n) for each step.
#[derive(Debug)]
pub struct Line<T> {
    waiting: BTreeMap<Ticket, T>,
    arrivals: u64,
    /// When it was empty last.
    empty: Timestamp,
}

/// What somebody in the line is known by; lesser is nearer to its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    level: Level,
    arrival: u64,
}

/// What a newcomer is told who was taken in.
#[derive(Debug)]
#[must_use = "whoever was displaced is to be told"]
#[expect(clippy::exhaustive_structs, reason = "an answer, to be taken apart")]
pub struct Joined<T> {
    /// What he is known by.
    pub ticket: Ticket,
    /// How long he is to wait before he leaves by himself.
    pub patience: Duration,
    /// Who had to go for him.
    pub displaced: Option<T>,
}

/// The line is full of those at least as important; here is who wanted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an answer, to be taken apart")]
pub struct Full<T>(pub T);

impl<T> Line<T> {
    /// How long a line must not have been empty to stand.
    const STANDS: Duration = Duration::from_millis(100);
    /// How long one waits in a line that passes, and in one that stands.
    const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(50));

    /// How many may wait where so many are worked on: two rounds of work, and what comes in a burst however few those are. It is
    /// patience that keeps the line short.
    pub const fn longest(limit: u32) -> usize {
        2 * limit as usize + 64
    }

    /// An empty line.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            waiting: BTreeMap::new(),
            arrivals: 0,
            empty: now,
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody does.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the line stands: it has not been empty for a while.
    pub fn is_standing(&self, now: Timestamp) -> bool {
        !self.is_empty() && now - self.empty > Self::STANDS
    }

    /// Takes a newcomer in, into a line of at most so many.
    ///
    /// # Errors
    ///
    /// The newcomer, if there is no place for him.
    pub fn join(
        &mut self,
        level: Level,
        value: T,
        most: usize,
        now: Timestamp,
    ) -> Result<Joined<T>, Full<T>> {
        let standing = self.is_standing(now);
        let mut displaced = None;
        if self.waiting.len() >= most {
            match self.last(standing) {
                // Of equals the newest is served where the line stands.
                Some(last) if last.level > level || standing && last.level == level => {
                    displaced = self.waiting.remove(&last);
                }
                Some(_) | None => return Err(Full(value)),
            }
        }
        if self.waiting.is_empty() && displaced.is_none() {
            self.empty = now;
        }
        let ticket = Ticket {
            level,
            arrival: self.arrivals,
        };
        self.arrivals += 1;
        self.waiting.insert(ticket, value);
        let (passing, stands) = Self::PATIENCE;
        Ok(Joined {
            ticket,
            patience: if standing { stands } else { passing },
            displaced,
        })
    }

    /// Takes somebody out who waits no longer; `None` if he was no longer there.
    pub fn leave(&mut self, ticket: Ticket, now: Timestamp) -> Option<T> {
        let value = self.waiting.remove(&ticket);
        self.look(now);
        value
    }

    /// Whose turn it is, now that there is a place.
    pub fn next(&mut self, now: Timestamp) -> Option<T> {
        let (&oldest, _) = self.waiting.first_key_value()?;
        let ticket = if self.is_standing(now) {
            let newest = self.waiting.range(..=oldest.newest_of_level()).next_back();
            newest.map_or(oldest, |(&newest, _)| newest)
        } else {
            oldest
        };
        let value = self.waiting.remove(&ticket);
        self.look(now);
        value
    }

    /// Whose turn would come last.
    fn last(&self, standing: bool) -> Option<Ticket> {
        let (&newest, _) = self.waiting.last_key_value()?;
        if !standing {
            return Some(newest);
        }
        let oldest = self.waiting.range(newest.oldest_of_level()..).next();
        oldest.map(|(&oldest, _)| oldest)
    }

    fn look(&mut self, now: Timestamp) {
        if self.waiting.is_empty() {
            self.empty = now;
        }
    }
}

impl Ticket {
    const fn newest_of_level(self) -> Self {
        Self {
            level: self.level,
            arrival: u64::MAX,
        }
    }

    const fn oldest_of_level(self) -> Self {
        Self {
            level: self.level,
            arrival: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Full, Line};
    use crate::Timestamp;
    use crate::overload::{Class, Level};

    fn at(millis: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_millis(millis))
    }

    fn level(class: Class) -> Level {
        Level::new(class, 1, 0)
    }

    #[test]
    fn the_more_important_is_next_and_among_equals_the_oldest() {
        let mut line = Line::new(at(0));
        for (class, who) in [
            (Class::Normal, 'b'),
            (Class::Background, 'd'),
            (Class::Normal, 'c'),
            (Class::Critical, 'a'),
        ] {
            assert!(
                line.join(level(class), who, 9, at(1))
                    .unwrap()
                    .displaced
                    .is_none()
            );
        }
        let order: Vec<char> = std::iter::from_fn(|| line.next(at(2))).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }

    #[test]
    fn a_full_line_takes_a_newcomer_only_for_someone_less_important() {
        let mut line = Line::new(at(0));
        let mut join = |class, who| line.join(level(class), who, 2, at(1));
        assert!(join(Class::Normal, 'a').is_ok() && join(Class::Background, 'b').is_ok());
        assert_eq!(join(Class::Background, 'c').unwrap_err(), Full('c'));
        assert_eq!(join(Class::Normal, 'd').unwrap().displaced, Some('b'));
        assert_eq!(join(Class::Critical, 'e').unwrap().displaced, Some('d'));
        let order: Vec<char> = std::iter::from_fn(|| line.next(at(2))).collect();
        assert_eq!(order, ['e', 'a']);
        assert!(line.join(level(Class::Critical), 'f', 0, at(3)).is_err());
    }

    #[test]
    fn in_a_line_that_stands_the_newest_is_next_and_nobody_waits_long() {
        let mut line = Line::new(at(0));
        let normal = level(Class::Normal);
        assert_eq!(
            line.join(normal, 0, 3, at(0)).unwrap().patience.as_millis(),
            100
        );
        assert!(line.join(normal, 1, 3, at(100)).is_ok());
        assert!(!line.is_standing(at(100)) && line.is_standing(at(101)));
        let joined = line.join(normal, 2, 3, at(101)).unwrap();
        assert_eq!(joined.patience.as_millis(), 50);
        assert_eq!(
            line.join(normal, 3, 3, at(101)).unwrap().displaced,
            Some(0),
            "of equals the oldest goes"
        );
        assert_eq!(line.leave(joined.ticket, at(102)), Some(2));
        assert_eq!(line.leave(joined.ticket, at(102)), None);
        assert_eq!(line.next(at(102)), Some(3));
        assert_eq!(line.next(at(102)), Some(1));
        assert!(line.is_empty() && !line.is_standing(at(102)));
        assert!(line.join(normal, 4, 3, at(400)).is_ok());
        assert!(!line.is_standing(at(500)), "it was empty until then");
    }

    proptest! {
        #[test]
        fn nobody_is_lost_twice_served_or_overtaken_by_the_less_important(
            steps in prop::collection::vec((0..4_u8, 0..5_u8, 0..60_u64), 0..300), most in 0..9_usize,
        ) {
            let mut line = Line::new(at(0));
            let (mut now, mut inside) = (0, Vec::new());
            for (number, (step, class, later)) in steps.into_iter().enumerate() {
                now += later;
                if step > 0 {
                    let class = [Class::Critical, Class::Interactive, Class::Normal, Class::Background, Class::Sheddable][usize::from(class)];
                    let level = level(class);
                    match line.join(level, number, most, at(now)) {
                        Ok(joined) => {
                            if let Some(gone) = joined.displaced {
                                let place = inside.iter().position(|&(_, who)| who == gone).unwrap();
                                let (lost, _) = inside.remove(place);
                                prop_assert!(lost >= level && inside.iter().all(|&(other, _)| other <= lost));
                            }
                            inside.push((level, number));
                        }
                        Err(Full(who)) => prop_assert!(who == number && inside.iter().all(|&(other, _)| other <= level)),
                    }
                } else if let Some(next) = line.next(at(now)) {
                    let place = inside.iter().position(|&(_, who)| who == next).unwrap();
                    let (served, _) = inside.remove(place);
                    prop_assert!(inside.iter().all(|&(other, _)| other >= served));
                }
                prop_assert!(line.len() == inside.len() && line.len() <= most);
            }
        }
    }
}
