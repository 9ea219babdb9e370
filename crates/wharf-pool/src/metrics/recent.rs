//! The last minute of a pool: rates and percentiles that forget.

use std::collections::VecDeque;
use std::time::Duration;

use histogram::{Histogram, Quantile};
use wharf_control::Timestamp;

use super::stripes::{Stripes, Totals};
use crate::books::Flow;

/// A mark is set every five seconds, and the oldest is a minute old.
const STEP: Duration = Duration::from_secs(5);
const MARKS: usize = 12;

/// What the counters said at one time.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) at: Timestamp,
    pub(crate) flow: Flow,
    pub(crate) totals: Totals,
    pub(crate) durations: Histogram,
}

impl Reading {
    pub(crate) fn of(at: Timestamp, flow: &Flow, hot: &Stripes) -> Self {
        Self {
            at,
            flow: *flow,
            totals: hot.totals(),
            durations: hot.durations(),
        }
    }
}

/// The counters of the last minute, as marks to subtract.
#[derive(Debug)]
pub(crate) struct Recent {
    oldest: Reading,
    marks: VecDeque<Reading>,
}

/// What happened in the last minute, or in as much of it as there has been.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) seconds: f64,
    pub(crate) accepted: u64,
    pub(crate) requests: u64,
    pub(crate) average: Duration,
    /// The 50th, the 95th and the 99th.
    pub(crate) percentiles: [Duration; 3],
    pub(crate) busy: Duration,
    answered: u64,
    errors: u64,
}

impl Recent {
    pub(crate) fn new(first: Reading) -> Self {
        Self {
            oldest: first,
            marks: VecDeque::new(),
        }
    }

    /// Whether it is time for [`Recent::mark`].
    pub(crate) fn wants_mark(&self, now: Timestamp) -> bool {
        now.since(self.marks.back().unwrap_or(&self.oldest).at) >= STEP
    }

    /// Remembers what the counters say now, and forgets what is older than a minute.
    pub(crate) fn mark(&mut self, now: Reading) {
        self.marks.push_back(now);
        if self.marks.len() > MARKS
            && let Some(next) = self.marks.pop_front()
        {
            self.oldest = next;
        }
    }

    /// What happened between the oldest mark and `now`, which is later than all of them.
    pub(crate) fn summary(&self, now: &Reading) -> Summary {
        let (totals, before) = (&now.totals, &self.oldest.totals);
        let answered = totals.answered() - before.answered();
        let nanos = totals.duration_nanos - before.duration_nanos;
        Summary {
            // A second at least, so that the first events of a young pool are no flood.
            seconds: now.at.since(self.oldest.at).as_secs_f64().max(1.0),
            accepted: now.flow.accepted - self.oldest.flow.accepted,
            requests: totals.ended() - before.ended(),
            average: Duration::from_nanos(nanos.checked_div(answered).unwrap_or(0)),
            percentiles: percentiles(&now.durations, &self.oldest.durations),
            busy: Duration::from_nanos(totals.busy_nanos - before.busy_nanos),
            answered,
            errors: totals.errors() - before.errors(),
        }
    }
}

impl Summary {
    /// How often a second something happened that happened so often in all.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits of a count are enough for a rate"
    )]
    pub(crate) fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.seconds
    }

    /// The part of the answers that were server errors; zero of none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits of a count are enough for a ratio"
    )]
    pub(crate) fn error_rate(&self) -> f64 {
        self.errors as f64 / self.answered.max(1) as f64
    }
}

/// The 50th, 95th and 99th percentile of what `all` has more than `before`.
fn percentiles(all: &Histogram, before: &Histogram) -> [Duration; 3] {
    const WANTED: [f64; 3] = [0.5, 0.95, 0.99];
    let Ok(recent) = all.wrapping_sub(before) else {
        return [Duration::ZERO; 3];
    };
    let Ok(Some(found)) = recent.quantiles(&WANTED) else {
        return [Duration::ZERO; 3];
    };
    WANTED.map(|q| {
        let bucket = Quantile::new(q).ok().and_then(|q| found.get(&q));
        // The middle of the bucket is at most 1/32 off.
        bucket.map_or(Duration::ZERO, |b| {
            Duration::from_nanos(b.start().midpoint(b.end()))
        })
    })
}
