//! [`Seen`]: what came of one request, and of many.

use std::time::Duration;

use crate::compare::figures::sorted;

/// Good within this time of when it was due, for that is when somebody began to wait.
pub(super) const GOOD: Duration = Duration::from_millis(50);

/// What came of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// When it was to begin, from the beginning of the load.
    pub(super) intended: Duration,
    /// From then to its end.
    pub(super) latency: Duration,
    pub(super) critical: bool,
    pub(super) answer: Answer,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The work was done.
    Served,
    /// It was told that it is not, at once or after a short wait.
    Refused,
    /// Nothing was heard for as long as anybody waits, or the connection was closed.
    Lost,
}

impl Seen {
    pub(super) fn is_served(&self) -> bool {
        self.answer == Answer::Served
    }

    fn is_good(&self) -> bool {
        self.is_served() && self.latency <= GOOD
    }
}

/// What came of those that were due in a part of the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Good answers, a second.
    pub(super) good: f64,
    /// Of what was served, in milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Of all, in percent.
    pub(super) refused: f64,
    pub(super) lost: f64,
    /// Of what is critical, in percent.
    pub(super) critical: f64,
}

impl Part {
    /// From one second to another.
    pub(super) fn of(all: &[Seen], from: u32, to: u32) -> Self {
        let range = [from, to].map(|it| Duration::from_secs(it.into()));
        let inside = |it: &&Seen| (range[0]..range[1]).contains(&it.intended);
        let part: Vec<Seen> = all.iter().filter(inside).copied().collect();
        let count = |is: &dyn Fn(&Seen) -> bool| amount(part.iter().filter(|it| is(it)).count());
        let percent = |some: f64, of: f64| 100.0 * some / of.max(1.0);
        let served = part.iter().filter(|it| it.is_served());
        let latencies = sorted(served.map(|it| it.latency.as_secs_f64() * 1e3));
        let whole = amount(part.len());
        Self {
            good: count(&Seen::is_good) / f64::from(to - from),
            p50: percentile(&latencies, 0.50),
            p99: percentile(&latencies, 0.99),
            refused: percent(count(&|it| it.answer == Answer::Refused), whole),
            lost: percent(count(&|it| it.answer == Answer::Lost), whole),
            critical: percent(
                count(&|it| it.critical && it.is_served()),
                count(&|it| it.critical),
            ),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of minutes' requests")]
fn amount(count: usize) -> f64 {
    count as f64
}

/// What so large a part is not above.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among some thousands"
)]
fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let nth = (part * amount(last)).ceil() as usize;
    sorted.get(nth).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_late_is_served_and_not_good() {
        let seen = |nth: u64, latency, answer| Seen {
            intended: Duration::from_millis(nth * 100),
            latency: Duration::from_millis(latency),
            critical: nth == 1,
            answer,
        };
        let all = [
            seen(0, 2, Answer::Served),
            seen(1, 51, Answer::Served),
            seen(2, 1, Answer::Refused),
            seen(3, 2_000, Answer::Lost),
            seen(10, 2, Answer::Served),
        ];
        let part = Part::of(&all, 0, 1);
        let figures = [part.good, part.refused, part.lost, part.critical, part.p99];
        assert!(
            figures
                .iter()
                .zip([1.0, 25.0, 25.0, 100.0, 51.0])
                .all(|(is, want)| (is - want).abs() < 1e-9),
            "{part:?}"
        );
        assert!(Part::of(&all, 5, 6).p50.is_nan());
    }
}
