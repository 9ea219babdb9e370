//! [`Calendar`]: what happens next in a plant.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use wharf_control::Timestamp;

/// Events in the order of their time; of two at the same time the one that was entered first.
#[derive(Debug)]
pub struct Calendar<E> {
    now: Timestamp,
    entered: u64,
    heap: BinaryHeap<Entry<E>>,
}

#[derive(Debug)]
struct Entry<E> {
    at: Timestamp,
    entered: u64,
    event: E,
}

impl<E> Calendar<E> {
    /// An empty calendar at the start of time.
    pub const fn new() -> Self {
        Self {
            now: Timestamp::ZERO,
            entered: 0,
            heap: BinaryHeap::new(),
        }
    }

    /// The time of the last event.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Enters an event that happens in so many seconds.
    pub fn enter_in(&mut self, seconds: f64, event: E) {
        self.enter(self.now.after(Duration::from_secs_f64(seconds)), event);
    }

    /// Enters an event; what would be in the past happens next.
    pub fn enter(&mut self, at: Timestamp, event: E) {
        self.heap.push(Entry {
            at: at.max(self.now),
            entered: self.entered,
            event,
        });
        self.entered += 1;
    }

    /// Takes the next event, up to `end`, and moves the time to it.
    pub fn next_before(&mut self, end: Timestamp) -> Option<E> {
        if self.heap.peek()?.at >= end {
            return None;
        }
        let entry = self.heap.pop()?;
        self.now = entry.at;
        Some(entry.event)
    }
}

impl<E> Default for Calendar<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Ord for Entry<E> {
    /// The heap has its greatest on top: the first to happen.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.entered).cmp(&(self.at, self.entered))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use wharf_control::Timestamp;

    use super::Calendar;

    #[test]
    fn events_come_in_their_order_and_equals_as_they_were_entered() {
        let mut calendar = Calendar::new();
        for (seconds, event) in [(2.0, 'c'), (1.0, 'a'), (1.0, 'b'), (3.0, 'd')] {
            calendar.enter_in(seconds, event);
        }
        let end = Timestamp::from_nanos(3_000_000_000);
        let order: Vec<char> = std::iter::from_fn(|| calendar.next_before(end)).collect();
        assert_eq!(order, ['a', 'b', 'c']);
        assert_eq!(calendar.now(), Timestamp::from_nanos(2_000_000_000));
        calendar.enter(Timestamp::ZERO, 'e');
        assert_eq!(calendar.next_before(end), Some('e'));
        assert_eq!(calendar.now(), Timestamp::from_nanos(2_000_000_000));
    }
}
