//! [`SlidingWindow`]: how much happened in the last seconds.

use std::time::Duration;

use crate::Timestamp;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Counts of the last `N` seconds, the one in progress included.
///
/// For rates "over a sliding minute", as against "since start". One slot for each second: a count
/// leaves the window whole, up to a second early, and reading changes nothing.
#[derive(Clone, Debug)]
pub struct SlidingWindow<const N: usize> {
    /// The count of second `s` is in slot `s % N`.
    slots: [u64; N],
    started: Timestamp,
    /// The newest second that a slot stands for.
    newest: u64,
}

impl<const N: usize> SlidingWindow<N> {
    /// An empty window that begins now.
    pub const fn new(now: Timestamp) -> Self {
        const { assert!(N > 0, "a window covers at least one second") };
        Self {
            slots: [0; N],
            started: now,
            newest: second(now),
        }
    }

    /// Counts `n` at `now`. A late count goes to its own second, if the window still holds it.
    pub fn add(&mut self, n: u64, now: Timestamp) {
        let second = second(now);
        if second > self.newest {
            for passed in 1..=(second - self.newest).min(N as u64) {
                self.slots[slot::<N>(self.newest + passed)] = 0;
            }
            self.newest = second;
        }
        if self.newest - second < N as u64 {
            let slot = &mut self.slots[slot::<N>(second)];
            *slot = slot.saturating_add(n);
        }
    }

    /// The sum of the last `N` seconds.
    pub fn total(&self, now: Timestamp) -> u64 {
        let gone = second(now).saturating_sub(self.newest);
        (gone..N as u64)
            .filter_map(|age| self.newest.checked_sub(age - gone))
            .fold(0, |sum, second| {
                sum.saturating_add(self.slots[slot::<N>(second)])
            })
    }

    /// The average per second over the time that the window really covers, but at least a second,
    /// so that the first count of a young window is no outlier.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits of a count are enough for a rate"
    )]
    pub fn rate(&self, now: Timestamp) -> f64 {
        self.total(now) as f64 / self.covered(now).as_secs_f64()
    }

    fn covered(&self, now: Timestamp) -> Duration {
        let full = Duration::from_nanos(now.as_nanos() % NANOS_PER_SECOND)
            .saturating_add(Duration::from_secs(N as u64 - 1));
        (now - self.started).min(full).max(Duration::from_secs(1))
    }
}

const fn second(at: Timestamp) -> u64 {
    at.as_nanos() / NANOS_PER_SECOND
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is under N, which is a usize"
)]
const fn slot<const N: usize>(second: u64) -> usize {
    (second % N as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{NANOS_PER_SECOND, SlidingWindow, second};
    use crate::Timestamp;

    fn at(millis: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_millis(millis))
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut window = SlidingWindow::<3>::new(at(0));
        window.add(1, at(0));
        window.add(10, at(1_500));
        window.add(100, at(2_999));
        assert_eq!(window.total(at(2_999)), 111);
        assert_eq!(window.total(at(3_000)), 110);
        assert_eq!(window.total(at(4_999)), 100);
        assert_eq!(window.total(at(5_000)), 0);
        assert_eq!(window.total(at(5_000_000)), 0);
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these quotients are exact")]
    fn a_young_window_divides_by_its_age_and_an_old_one_by_its_length() {
        let mut window = SlidingWindow::<60>::new(at(500));
        window.add(8, at(500));
        assert_eq!(window.rate(at(600)), 8.0);
        assert_eq!(window.rate(at(4_500)), 2.0);
        for second in 0..200 {
            window.add(5, at(second * 1_000));
        }
        assert_eq!(window.rate(at(199_999)).round(), 5.0);
        assert_eq!(window.rate(at(10_000_000)), 0.0);
    }

    proptest! {
        #[test]
        fn the_total_is_that_of_a_list_of_all_counts(
            started in 0..5_u64,
            counts in prop::collection::vec((0..30_u64, 1..100_u64), 0..40),
            now in 0..40_u64,
        ) {
            let at = |second: u64| Timestamp::from_nanos((started + second) * NANOS_PER_SECOND);
            let mut window = SlidingWindow::<5>::new(at(0));
            let mut newest = second(at(0));
            let mut kept: Vec<(u64, u64)> = Vec::new();
            for &(when, n) in &counts {
                window.add(n, at(when));
                newest = newest.max(second(at(when)));
                if newest - second(at(when)) < 5 {
                    kept.push((second(at(when)), n));
                }
            }
            // The past is not kept: asked for an earlier second, the newest one answers.
            let now = second(at(now)).max(newest);
            let expected: u64 =
                kept.iter().filter(|(when, _)| now - when < 5).map(|(_, n)| n).sum();
            prop_assert_eq!(window.total(Timestamp::from_nanos(now * NANOS_PER_SECOND)), expected);
        }
    }
}
