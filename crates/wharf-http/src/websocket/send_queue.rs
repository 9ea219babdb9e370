//! [`SendQueue`]: the messages that wait for one client.

use std::collections::VecDeque;

use super::slow_consumer::SlowConsumer;
use crate::settings::WebSocketSettings;

/// The messages that wait for one client: at most `send_queue` bytes of them.
///
/// A message is taken whole: one that is larger than the whole queue is taken while nothing else waits.
#[derive(Debug)]
pub struct SendQueue<M> {
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
    /// The client is too slow for it: the session is to be closed.
    TooSlow,
}

/// What an empty message costs.
const OVERHEAD: u64 = 64;

impl<M> SendQueue<M> {
    /// A queue as the settings of a pool have it.
    pub fn new(settings: &WebSocketSettings) -> Self {
        Self {
            most: settings.send_queue.get(),
            policy: settings.slow_consumer,
            bytes: 0,
            messages: VecDeque::new(),
        }
    }

    /// Adds a message of so many bytes.
    pub fn push(&mut self, message: M, bytes: usize) -> Queued {
        let cost = OVERHEAD.saturating_add(bytes as u64);
        let mut dropped = 0;
        while !self.messages.is_empty() && self.bytes.saturating_add(cost) > self.most {
            if self.policy == SlowConsumer::Close {
                return Queued::TooSlow;
            }
            self.pop();
            dropped += 1;
        }
        self.bytes = self.bytes.saturating_add(cost);
        self.messages.push_back((cost, message));
        if dropped == 0 {
            Queued::Kept
        } else {
            Queued::InsteadOf(dropped)
        }
    }

    /// Takes the oldest message.
    pub fn pop(&mut self) -> Option<M> {
        let (cost, message) = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(cost);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use wharf_pool::config::ByteSize;

    use super::*;

    fn queue(slow_consumer: SlowConsumer) -> SendQueue<u32> {
        SendQueue::new(&WebSocketSettings {
            send_queue: ByteSize::kib(1),
            slow_consumer,
            ..WebSocketSettings::default()
        })
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
