//! [`DrainProbe`]: moments with half the limit, in which a queue drains and latency is that of the work alone.

use std::time::Duration;

use crate::{Random, Timestamp};

/// Every 10 s, up to 1.5 s later by chance, 200 ms; not if the limit has held nobody back for 10 s, for then there is no queue.
///
/// Servers that probe at the same time would push their load at each other: therefore by chance. It costs half of a
/// fiftieth of the throughput.
#[derive(Clone, Debug)]
pub(super) struct DrainProbe {
    next: Timestamp,
    until: Option<Timestamp>,
    epoch: Timestamp,
    last_needed: Option<Timestamp>,
}

impl DrainProbe {
    const EVERY: Duration = Duration::from_secs(10);
    const SPREAD: Duration = Duration::from_millis(1_500);
    const LENGTH: Duration = Duration::from_millis(200);

    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            next: now.after(Self::EVERY),
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

    pub(super) fn begin_if_due(&mut self, random: &mut Random, now: Timestamp) -> bool {
        if now < self.next {
            return false;
        }
        let needed = self
            .last_needed
            .is_some_and(|last| now - last <= Self::EVERY);
        if needed {
            self.until = Some(now.after(Self::LENGTH));
            self.epoch = now;
        } else {
            self.plan(random, now);
        }
        needed
    }

    pub(super) fn end_if_over(&mut self, random: &mut Random, now: Timestamp) {
        if self.until.is_some_and(|until| now >= until) {
            self.until = None;
            self.plan(random, now);
        }
    }

    fn plan(&mut self, random: &mut Random, now: Timestamp) {
        self.next = now
            .after(Self::EVERY)
            .after(Self::SPREAD.mul_f64(random.unit()));
    }
}
