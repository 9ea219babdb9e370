//! [`run`]: one message after another, and when each member heard it.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::members::Members;
use crate::millis;

/// How long members may take before a message counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// The rounds begin here: those before are from settling.
const FIRST: u64 = 1000;

/// When the members heard, over all rounds.
pub(crate) struct Told {
    sorted: Vec<Duration>,
    lost: usize,
}

/// Has the speaker say one message `every` so often, and all listen.
pub(crate) fn run(members: &mut Members, rounds: usize, every: Duration) -> Result<Told> {
    let mut times = Vec::with_capacity(rounds * members.count());
    let mut lost = 0;
    for round in FIRST..FIRST + rounds as u64 {
        let began = Instant::now();
        let mut missing = members.count();
        members.say(round)?;
        members.listen(began + PATIENCE, |_, heard| {
            if heard == round {
                times.push(began.elapsed());
                missing -= 1;
            }
            missing == 0
        })?;
        lost += missing;
        // Whoever is asked for a Pong between two rounds gives it.
        members.listen(began + every, |_, _| false)?;
    }
    times.sort_unstable();
    Ok(Told {
        sorted: times,
        lost,
    })
}

impl Told {
    /// What so many of a hundred did not take longer than.
    fn percentile(&self, percent: usize) -> f64 {
        let at = self.sorted.len() * percent / 100;
        let time = self.sorted.get(at.min(self.sorted.len().saturating_sub(1)));
        time.map_or(f64::NAN, |time| millis(*time))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, all] = [50, 99, 100].map(|percent| self.percentile(percent));
        write!(
            f,
            "p50 {half:.1} ms, p99 {most:.1} ms, max {all:.1} ms, {} lost",
            self.lost
        )
    }
}
