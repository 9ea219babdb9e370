//! [`ConcurrencyLimit`]: how many requests to work on at a time.
//!
//! Begin with [`ConcurrencyLimit::on_window`]. `settings` has the bounds, `baseline` the latency without a queue,
//! `drain_probe` the moments in which that is measured.

mod baseline;
mod drain_probe;
mod settings;

pub use settings::ConcurrencySettings;

use std::time::Duration;

use super::LimitWindow;
use super::elasticity::Elasticity;
use crate::rounding::floor;
use crate::{Random, Timestamp};
use baseline::Baseline;
use drain_probe::DrainProbe;

/// An adaptive limit of requests in flight: a latency gradient that is gated by elasticity.
///
/// A gradient alone takes every longer latency for a queue: it sheds what only waits for something slow, and, where it compares
/// with a latency of its own making, drifts until nothing is answered in time (Netflix's Gradient2). So here throughput is asked
/// first: while it still grows with what is in flight, latency is not our queue. And the latency without a queue is measured, in short moments
/// with half the limit. In this order, with `q = L · (1 - 1.25 · base / p50)`:
///
/// | window | verdict | limit `L` |
/// |---|---|---|
/// | bound, and over a tenth failed | [`Failing`](Verdict::Failing) | `· 0.9` |
/// | the scheduler lags over 5 ms | [`Lagging`](Verdict::Lagging) | `· max(1 - 0.02 · (lag - 5 ms)/5 ms, 0.5)` |
/// | `p90` over the ceiling | [`OverCeiling`](Verdict::OverCeiling) | `· max(ceiling / p90, 0.7)` |
/// | not bound: under 0.8 `L` in flight | [`Hold`](Verdict::Hold) | |
/// | throughput grows with what is in flight | [`Growing`](Verdict::Growing) | `+ max(log10 L, 0.5 · √L)` |
/// | throughput shrinks with it | [`Shrinking`](Verdict::Shrinking) | `- max(1, log10 L)` |
/// | `q > √L` | [`Queueing`](Verdict::Queueing) | `· max(1.25 · base / p50, 0.8)` |
/// | `q ≤ 0.5 · √L` | [`Room`](Verdict::Room) | `+ max(log10 L, 0.5 · √L)` |
/// | else | [`Hold`](Verdict::Hold) | |
///
/// A limit that is not what holds requests back is never changed upwards or down (RFC 7661): a lull keeps it. The brake of lag
/// is Breakwater's law (OSDI 2020), the growth by covariance Cinnamon's and failsafe-go's.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    settings: ConcurrencySettings,
    limit: f64,
    history: Elasticity,
    base: Baseline,
    probe: DrainProbe,
    /// Windows in a row at the least limit.
    stranded: u32,
}

/// What a window was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing is to be changed.
    Hold,
    /// The latency without a queue is being measured.
    Probing,
    /// Too many failed.
    Failing,
    /// The scheduler is late.
    Lagging,
    /// Latency is over what was set.
    OverCeiling,
    /// More at a time gets more done.
    Growing,
    /// More at a time gets less done.
    Shrinking,
    /// Latency says that there is a queue.
    Queueing,
    /// Latency says that there is none.
    Room,
}

impl Verdict {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Probing => "probing",
            Self::Failing => "failing",
            Self::Lagging => "lagging",
            Self::OverCeiling => "over_ceiling",
            Self::Growing => "growing",
            Self::Shrinking => "shrinking",
            Self::Queueing => "queueing",
            Self::Room => "room",
        }
    }
}

impl ConcurrencyLimit {
    const BOUND: f64 = 0.8;
    const TOLERANCE: f64 = 1.25;
    const FAILED: f64 = 0.1;
    const LAG: Duration = Duration::from_millis(5);
    const STRANDED: u32 = 5;

    /// A limit that has seen nothing.
    pub fn new(settings: ConcurrencySettings, now: Timestamp) -> Self {
        let settings = settings.sensible();
        Self {
            limit: f64::from(settings.initial),
            settings,
            history: Elasticity::new(),
            base: Baseline::new(),
            probe: DrainProbe::new(now),
            stranded: 0,
        }
    }

    /// How many requests may be in flight now.
    pub fn limit(&self) -> u32 {
        if self.probe.is_running() {
            floor(self.limit / 2.0).max(self.settings.least)
        } else {
            floor(self.limit)
        }
    }

    /// Latencies of requests that began before this say nothing: they met a queue that is to be drained.
    pub const fn epoch(&self) -> Timestamp {
        self.probe.epoch()
    }

    /// Judges a window and changes the limit.
    pub fn on_window(
        &mut self,
        window: &LimitWindow,
        random: &mut Random,
        now: Timestamp,
    ) -> Verdict {
        self.base.observe(window.p50, now);
        if self.probe.is_running() {
            self.probe.end_if_over(random, now);
            return Verdict::Probing;
        }
        // Of the whole number that is in force: two in flight are all of a limit of 2.7.
        let bound = f64::from(window.most_in_flight) >= Self::BOUND * f64::from(self.limit());
        if bound {
            self.probe.needed(now);
            self.history
                .push(f64::from(window.most_in_flight), window.throughput);
        }
        let verdict = self.judge(window, bound, now);
        self.apply(verdict, window, now);
        self.escape(now);
        if self.probe.begin_if_due(window.p50, random, now) {
            self.base.clear();
        }
        verdict
    }

    /// Ends a probe that has lasted long enough, where no window has closed since: whether it did, and the limit is another.
    pub fn on_time(&mut self, random: &mut Random, now: Timestamp) -> bool {
        self.probe.end_if_over(random, now)
    }

    fn judge(&self, window: &LimitWindow, bound: bool, now: Timestamp) -> Verdict {
        let (queue, root) = (self.queue(window, now), self.limit.sqrt());
        if bound && window.failed > Self::FAILED {
            Verdict::Failing
        } else if window.lag.is_some_and(|lag| lag > Self::LAG) {
            Verdict::Lagging
        } else if self
            .settings
            .ceiling
            .is_some_and(|ceiling| window.p90 > ceiling)
        {
            Verdict::OverCeiling
        } else if !bound {
            Verdict::Hold
        } else if self.history.grows() {
            Verdict::Growing
        } else if self.history.shrinks() {
            Verdict::Shrinking
        } else if queue > root {
            Verdict::Queueing
        } else if queue <= 0.5 * root {
            Verdict::Room
        } else {
            Verdict::Hold
        }
    }

    fn apply(&mut self, verdict: Verdict, window: &LimitWindow, now: Timestamp) {
        let limit = self.limit;
        let step = limit.log10().max(0.5 * limit.sqrt());
        let changed = match verdict {
            Verdict::Hold | Verdict::Probing => limit,
            Verdict::Failing => limit * 0.9,
            Verdict::Lagging => {
                let over = window.lag.unwrap_or_default().saturating_sub(Self::LAG);
                limit * (1.0 - 0.02 * over.div_duration_f64(Self::LAG)).max(0.5)
            }
            Verdict::OverCeiling => {
                let ceiling = self.settings.ceiling.unwrap_or(window.p90);
                limit * ceiling.div_duration_f64(window.p90).max(0.7)
            }
            Verdict::Growing | Verdict::Room => limit + step,
            Verdict::Shrinking => limit - limit.log10().max(1.0),
            Verdict::Queueing => limit * self.gradient(window, now).max(0.8),
        };
        let (least, most) = (self.settings.least, self.settings.most);
        self.limit = changed.clamp(f64::from(least), f64::from(most));
    }

    /// A limit that stays at the least has nothing left to learn from: it measures anew.
    fn escape(&mut self, now: Timestamp) {
        let at_least = self.limit <= f64::from(self.settings.least);
        self.stranded = if at_least { self.stranded + 1 } else { 0 };
        if self.stranded >= Self::STRANDED {
            self.stranded = 0;
            self.history.clear();
            self.probe.force(now);
        }
    }

    /// How many of the requests in flight are taken for waiting.
    fn queue(&self, window: &LimitWindow, now: Timestamp) -> f64 {
        self.limit * (1.0 - self.gradient(window, now))
    }

    fn gradient(&self, window: &LimitWindow, now: Timestamp) -> f64 {
        let base = self.base.latency(now).unwrap_or(window.p50);
        let gradient = Self::TOLERANCE * base.div_duration_f64(window.p50);
        if gradient.is_finite() {
            gradient.min(1.0)
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests;
