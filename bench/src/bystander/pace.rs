//! Requests on one connection, each of which has a time at which it is to begin.

use std::num::NonZeroU64;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::thread::set_current_timer_slack;

use crate::client::Client;

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// When it was to begin.
    pub(super) intended: Instant,
    /// From then to the last byte of its answer.
    pub(super) took: Duration,
}

/// Asks as often as that. Who is late begins at once, and the time that it should have begun counts.
pub(super) fn ask(
    mut client: Client,
    from: Instant,
    to: Instant,
    every: Duration,
) -> Result<Vec<Asked>> {
    set_current_timer_slack(NonZeroU64::new(1))?;
    let mut asked = Vec::new();
    let mut intended = from;
    while intended < to {
        sleep(intended.saturating_duration_since(Instant::now()));
        client.ask()?;
        client.hear()?;
        asked.push(Asked {
            intended,
            took: intended.elapsed(),
        });
        intended += every;
    }
    Ok(asked)
}

/// What so many of a hundred did not take longer than, in milliseconds.
pub(super) fn percentile(sorted: &[Duration], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a place among some thousands"
    )]
    let nth = (percent / 100.0 * last as f64).ceil() as usize;
    sorted[nth.min(last)].as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_those_there_are() {
        let all: Vec<_> = (0..=1000).map(Duration::from_millis).collect();
        let read = [50.0, 99.9, 100.0].map(|percent| percentile(&all, percent));
        assert!((read[0] - 500.0).abs() < 1e-9, "{read:?}");
        assert!((read[1] - 999.0).abs() < 1e-9, "{read:?}");
        assert!((read[2] - 1000.0).abs() < 1e-9, "{read:?}");
        assert!(percentile(&[], 50.0).is_nan());
    }
}
