//! [`DrainProbe`]: moments with half the limit, in which a queue drains and latency is that of the work alone.

use std::time::Duration;

use crate::{Random, Timestamp};

/// Every 10 s, up to 1.5 s later by chance, 200 ms; not if the limit has held nobody back for 10 s, for then there is no queue.
///
/// Servers that probe at the same time would push their load at each other: therefore by chance. It costs half of a
/// fiftieth of the throughput. Where a request takes longer than 200 ms, nothing that began in so short a moment would end in
/// it: there the moment lasts as long as the median request, 2 s at most, and the pause between two fifty times as long.
#[derive(Clone, Debug)]
pub(super) struct DrainProbe {
    next: Timestamp,
    length: Duration,
    until: Option<Timestamp>,
    epoch: Timestamp,
    last_needed: Option<Timestamp>,
}

impl DrainProbe {
    const EVERY: Duration = Duration::from_secs(10);
    const SPREAD: Duration = Duration::from_millis(1_500);
    const LENGTH: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(2);
    /// The pause from one to the next is at least so many times its length.
    const PAUSE: u32 = 50;

    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            next: now.after(Self::EVERY),
            length: Self::LENGTH,
            until: None,
            epoch: now,
            last_needed: None,
        }
    }

    pub(super) const fn is_running(&self) -> bool {
        self.until.is_some()
    }

    pub(super) const fn epoch(&self) -> Timestamp {
        self.epoch
    }

    /// The limit holds requests back.
    pub(super) const fn needed(&mut self, now: Timestamp) {
        self.last_needed = Some(now);
    }

    /// The next is due now.
    pub(super) const fn force(&mut self, now: Timestamp) {
        self.next = now;
        self.last_needed = Some(now);
    }

    /// Begins one, if it is time; the median request takes `median`.
    pub(super) fn begin_if_due(
        &mut self,
        median: Duration,
        random: &mut Random,
        now: Timestamp,
    ) -> bool {
        if now < self.next {
            return false;
        }
        let needed = self
            .last_needed
            .is_some_and(|last| now - last <= Self::EVERY);
        if needed {
            self.length = median.clamp(Self::LENGTH, Self::LONGEST);
            self.until = Some(now.after(self.length));
            self.epoch = now;
        } else {
            self.plan(random, now);
        }
        needed
    }

    /// Ends the one that is under way, if it has lasted long enough; whether it has.
    pub(super) fn end_if_over(&mut self, random: &mut Random, now: Timestamp) -> bool {
        let over = self.until.is_some_and(|until| now >= until);
        if over {
            self.until = None;
            self.plan(random, now);
        }
        over
    }

    fn plan(&mut self, random: &mut Random, now: Timestamp) {
        self.next = now
            .after(Self::EVERY.max(self.length * Self::PAUSE))
            .after(Self::SPREAD.mul_f64(random.unit()));
    }
}
