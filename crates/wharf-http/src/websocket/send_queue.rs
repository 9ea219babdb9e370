//! [`SendQueue`]: the messages that wait for one client.

use std::collections::VecDeque;

use super::slow_consumer::SlowConsumer;

/// The messages that wait for one client: at most `send_queue` bytes of them.
///
/// A message is taken whole: one that is larger than the whole queue is taken while nothing else waits.
#[derive(Debug)]
pub(crate) struct SendQueue<M> {
    most: u64,
    policy: SlowConsumer,
    bytes: u64,
    messages: VecDeque<(u64, M)>,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Queued {
    /// It waits with the others.
    Kept,
    /// It waits, and so many older ones do not any more.
    InsteadOf(usize),
    /// The client is too slow for it: the session is closed.
    TooSlow,
    /// The session has ended, or is about to: nobody will hear it.
    Ended,
}

/// What an empty message costs.
const OVERHEAD: u64 = 64;

impl<M> SendQueue<M> {
    /// A queue for so many bytes.
    pub(crate) const fn new(most: u64, policy: SlowConsumer) -> Self {
        Self {
            most,
            policy,
            bytes: 0,
            messages: VecDeque::new(),
        }
    }

    /// Whether a message of so many bytes fits in.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.messages.is_empty() || self.bytes.saturating_add(cost(bytes)) <= self.most
    }

    /// Adds a message of so many bytes.
    pub(crate) fn push(&mut self, message: M, bytes: usize) -> Queued {
        let mut dropped = 0;
        while !self.has_room(bytes) {
            if self.policy == SlowConsumer::Close {
                return Queued::TooSlow;
            }
            self.pop();
            dropped += 1;
        }
        self.put(message, bytes);
        if dropped == 0 {
            Queued::Kept
        } else {
            Queued::InsteadOf(dropped)
        }
    }

    /// Adds a message whether there is room for it or not.
    pub(crate) fn put(&mut self, message: M, bytes: usize) {
        let cost = cost(bytes);
        self.bytes = self.bytes.saturating_add(cost);
        self.messages.push_back((cost, message));
    }

    /// Takes the oldest message.
    pub(crate) fn pop(&mut self) -> Option<M> {
        let (cost, message) = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(cost);
        if self.messages.is_empty() {
            // Given back, not kept: for most clients nothing ever waits.
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    /// Lets all of them go.
    pub(crate) fn clear(&mut self) {
        self.bytes = 0;
        self.messages = VecDeque::new();
    }

    /// From the oldest to the newest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &M> {
        self.messages.iter().map(|(_, message)| message)
    }
}

const fn cost(bytes: usize) -> u64 {
    OVERHEAD.saturating_add(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(slow_consumer: SlowConsumer) -> SendQueue<u32> {
        SendQueue::new(1024, slow_consumer)
    }

    #[test]
    fn a_full_queue_keeps_what_it_has_or_what_is_new() {
        let mut queue_of = queue(SlowConsumer::Close);
        for n in 0..4 {
            assert_eq!(queue_of.push(n, 192), Queued::Kept);
        }
        assert_eq!(queue_of.push(4, 0), Queued::TooSlow);
        assert_eq!(queue_of.pop(), Some(0));
        assert_eq!(queue_of.push(4, 192), Queued::Kept);

        let mut newest = queue(SlowConsumer::DropOldest);
        for n in 0..4 {
            assert_eq!(newest.push(n, 192), Queued::Kept);
        }
        assert_eq!(newest.push(4, 300), Queued::InsteadOf(2));
        let left: Vec<_> = std::iter::from_fn(|| newest.pop()).collect();
        assert_eq!(left, [2, 3, 4]);
    }

    #[test]
    fn a_message_larger_than_the_queue_waits_alone() {
        let mut queue = queue(SlowConsumer::Close);
        assert_eq!(queue.push(0, 5000), Queued::Kept);
        assert_eq!(queue.push(1, 0), Queued::TooSlow);
        assert_eq!(queue.pop(), Some(0));
        assert_eq!(queue.push(1, 0), Queued::Kept);
    }
}
