//! [`Baseline`]: what a request takes that does not wait.

use std::time::Duration;

use crate::Timestamp;

/// Windows are at least 200 ms long, so these are all of the last 10 s.
const WINDOWS: usize = 50;

/// The least median of the windows of the last 10 s.
#[derive(Clone, Debug)]
pub(super) struct Baseline {
    windows: [(Timestamp, Duration); WINDOWS],
    next: usize,
    known: usize,
}

impl Baseline {
    const AGE: Duration = Duration::from_secs(10);

    pub(super) const fn new() -> Self {
        Self {
            windows: [(Timestamp::ZERO, Duration::ZERO); WINDOWS],
            next: 0,
            known: 0,
        }
    }

    pub(super) fn observe(&mut self, median: Duration, now: Timestamp) {
        self.windows[self.next] = (now, median);
        self.next = (self.next + 1) % WINDOWS;
        self.known = (self.known + 1).min(WINDOWS);
    }

    pub(super) const fn clear(&mut self) {
        self.known = 0;
        self.next = 0;
    }

    pub(super) fn latency(&self, now: Timestamp) -> Option<Duration> {
        let recent = |&&(at, _): &&(Timestamp, Duration)| now - at <= Self::AGE;
        let known = self.windows[..self.known].iter();
        known.filter(recent).map(|&(_, median)| median).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Baseline;
    use crate::Timestamp;

    #[test]
    fn the_least_of_ten_seconds_and_nothing_after_a_clear() {
        let at = |second| Timestamp::after_start(Duration::from_secs(second));
        let mut base = Baseline::new();
        assert_eq!(base.latency(at(0)), None);
        base.observe(Duration::from_millis(10), at(0));
        base.observe(Duration::from_millis(30), at(5));
        assert_eq!(base.latency(at(10)), Some(Duration::from_millis(10)));
        assert_eq!(base.latency(at(11)), Some(Duration::from_millis(30)));
        base.clear();
        assert_eq!(base.latency(at(11)), None);
    }
}
