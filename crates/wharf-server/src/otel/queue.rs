//! [`Queue`]: the spans that wait to be sent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::wire::Span;

/// How many spans are sent at once.
pub(super) const BATCH: usize = 512;

/// How long the first of them waits for others.
const COLLECT: Duration = Duration::from_secs(1);

/// The spans that wait to be sent. To put one in never waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    spans: Mutex<VecDeque<Span>>,
    dropped: AtomicU64,
    /// The first is there, or a whole batch is.
    filled: Notify,
}

impl Queue {
    /// Puts a span in, if fewer than `most` wait; another is counted and lost.
    pub(super) fn put(&self, span: Span, most: usize) {
        let mut spans = self.lock();
        if spans.len() >= most {
            drop(spans);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        spans.push_back(span);
        let waiting = spans.len();
        drop(spans);
        if waiting == 1 || waiting == BATCH {
            self.filled.notify_one();
        }
    }

    /// Waits until there is something to send: a batch, or what has come a moment after the first.
    pub(super) async fn filled(&self) {
        while self.len() == 0 {
            self.filled.notified().await;
        }
        let full = async {
            while self.len() < BATCH {
                self.filled.notified().await;
            }
        };
        // Fewer will do.
        timeout(COLLECT, full).await.ok();
    }

    /// Takes the first of them out.
    pub(super) fn take(&self) -> Vec<Span> {
        let mut spans = self.lock();
        let some = spans.len().min(BATCH);
        spans.drain(..some).collect()
    }

    /// Loses all of them: there is nobody any more to send them to.
    pub(super) fn clear(&self) {
        let lost = std::mem::take(&mut *self.lock());
        self.dropped.fetch_add(lost.len() as u64, Ordering::Relaxed);
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// How many were lost.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Span>> {
        // Nothing under this lock panics.
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_lost() {
        let queue = Queue::default();
        for _ in 0..5 {
            queue.put(Span::default(), 3);
        }
        assert_eq!((queue.len(), queue.dropped()), (3, 2));
        queue.clear();
        assert_eq!((queue.len(), queue.dropped()), (0, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_goes_at_once_and_less_after_a_moment() {
        let queue = Queue::default();
        queue.put(Span::default(), BATCH);
        let begun = tokio::time::Instant::now();
        queue.filled().await;
        assert_eq!(begun.elapsed(), COLLECT);
        assert_eq!(queue.take().len(), 1);
        for _ in 0..BATCH {
            queue.put(Span::default(), BATCH);
        }
        let begun = tokio::time::Instant::now();
        queue.filled().await;
        assert_eq!(
            (begun.elapsed(), queue.take().len()),
            (Duration::ZERO, BATCH)
        );
    }
}
