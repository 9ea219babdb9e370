//! [`GiveBack`]: when free memory goes back to the kernel.
//!
//! The allocator keeps what was freed in between of what is still used. After a burst of connections
//! that is most of it: each has given its codec back, and kept its record.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::process::{Figures, ProcessFigures};

/// How often is looked.
const LOOK: Duration = Duration::from_secs(1);

/// The share of one processor below which nobody notices that memory cannot be allocated for a moment.
const QUIET: f64 = 0.1;

/// A process that is never quiet gives back so often.
const BUSY_PAUSE: Duration = Duration::from_mins(10);

/// What the process may have grown by before it is worth while, besides a quarter.
const SLACK: u64 = 4 << 20;

/// So many connections have to have gone, and a quarter of them.
const MANY: u32 = 256;

/// Looks after which it is done once more: connections that were open put away what they held.
const AGAIN: u32 = 10;

/// Looks at what the process uses, and gives memory back when that is worth while. It does not end.
pub(crate) async fn watch(figures: &ProcessFigures, connections: impl Fn() -> u32) {
    let mut give_back = GiveBack::default();
    let mut given = Instant::now();
    loop {
        sleep(LOOK).await;
        let patient = given.elapsed() < BUSY_PAUSE;
        if give_back.is_due(figures.without_descriptors(), connections(), patient) {
            given = Instant::now();
            wharf_sys::give_back();
            let usage = figures.without_descriptors();
            let (took, resident) = (given.elapsed(), usage.resident_bytes);
            tracing::debug!(?took, resident, "memory given back");
            give_back.done(usage, connections());
        }
    }
}

/// When it is worth while.
#[derive(Debug, Default)]
struct GiveBack {
    /// What was resident after the last time, or less.
    low: Option<u64>,
    /// The most connections that were open since.
    most: u32,
    /// Looks until it is done once more; none, if zero.
    again: u32,
    /// Processor time at the last look, in seconds.
    cpu: f64,
}

impl GiveBack {
    /// Looks at what the process uses, a [`LOOK`] after the last time. One that is busy is given time,
    /// unless nobody is `patient` any more.
    fn is_due(&mut self, usage: Figures, connections: u32, patient: bool) -> bool {
        let cpu = usage.cpu_seconds.unwrap_or(self.cpu);
        let busy = cpu - self.cpu > QUIET * LOOK.as_secs_f64();
        self.cpu = cpu;
        let Some(resident) = usage.resident_bytes else {
            return false;
        };
        let low = self.low.map_or(resident, |low| low.min(resident));
        self.low = Some(low);
        self.most = self.most.max(connections);
        let grown = resident > low + low / 4 + SLACK;
        let gone = self.most - connections;
        let left = gone >= MANY && gone >= self.most / 4;
        let again = self.again == 1;
        let due = (grown || left || again) && !(busy && patient);
        if !again {
            self.again = self.again.saturating_sub(1);
        }
        due
    }

    /// Memory was given back. What is resident all the same is needed, as far as is known.
    fn done(&mut self, usage: Figures, connections: u32) {
        self.low = usage.resident_bytes;
        self.most = connections;
        self.again = if self.again == 1 { 0 } else { AGAIN };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(mib: u64, cpu_seconds: f64) -> Figures {
        Figures {
            resident_bytes: Some(mib << 20),
            cpu_seconds: Some(cpu_seconds),
            ..Figures::default()
        }
    }

    #[test]
    fn memory_is_given_back_when_the_process_has_grown_and_is_quiet() {
        let mut it = GiveBack::default();
        assert!(!it.is_due(usage(20, 0.0), 1, true));
        assert!(!it.is_due(usage(29, 0.01), 1, true), "not worth while");
        assert!(!it.is_due(usage(100, 0.9), 1, true), "busy");
        assert!(it.is_due(usage(100, 0.95), 1, true));
        it.done(usage(90, 0.95), 1);
        assert!(!it.is_due(usage(90, 1.0), 1, true), "it is needed");
        assert!(it.is_due(usage(117, 1.05), 1, true));
    }

    #[test]
    fn it_is_given_back_when_connections_have_gone() {
        let mut it = GiveBack::default();
        assert!(!it.is_due(usage(20, 0.0), 0, true));
        assert!(!it.is_due(usage(20, 0.0), 2000, true));
        assert!(!it.is_due(usage(20, 0.0), 1600, true), "a fifth");
        assert!(it.is_due(usage(20, 0.0), 1500, true));
        it.done(usage(20, 0.0), 1500);
        assert!(!it.is_due(usage(20, 0.0), 1500, true));
        assert!(!GiveBack::default().is_due(usage(20, 0.0), 0, true));
    }

    #[test]
    fn it_is_done_once_more_for_what_was_put_away_meanwhile() {
        let mut it = GiveBack::default();
        assert!(!it.is_due(usage(20, 0.0), 0, true));
        let looks = (0..30).map(|_| {
            let due = it.is_due(usage(50, 0.0), 0, true);
            if due {
                it.done(usage(50, 0.0), 0);
            }
            due
        });
        let due = looks.enumerate().filter(|(_, due)| *due);
        assert_eq!(due.map(|(look, _)| look).collect::<Vec<_>>(), [0, 10]);
    }

    #[test]
    fn a_process_that_is_always_busy_gives_back_too_in_the_end() {
        let mut it = GiveBack::default();
        assert!(!it.is_due(usage(20, 0.0), 1, true));
        assert!(!it.is_due(usage(100, 1.0), 1, true));
        assert!(it.is_due(usage(100, 2.0), 1, false));
    }

    #[test]
    fn a_process_that_has_shrunk_by_itself_is_measured_by_that() {
        let mut it = GiveBack::default();
        assert!(!it.is_due(usage(100, 0.0), 1, true));
        assert!(!it.is_due(usage(20, 0.0), 1, true));
        assert!(it.is_due(usage(60, 0.0), 1, true));
    }

    #[test]
    fn where_the_kernel_tells_nothing_nothing_is_done() {
        assert!(!GiveBack::default().is_due(Figures::default(), 1000, false));
    }
}
