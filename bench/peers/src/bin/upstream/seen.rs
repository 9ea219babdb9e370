//! [`Seen`]: what a server has seen since it was started.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whoever comes back is watched for so long.
const FIRST: Duration = Duration::from_secs(1);

/// What a server has seen since it was started.
pub(crate) struct Seen {
    begun: Instant,
    counts: Mutex<Counts>,
}

#[derive(Clone, Default)]
struct Counts {
    requests: u64,
    in_hand: u64,
    /// The most in hand at once, and the requests, in the second after the first request.
    first: Option<Instant>,
    most_at_first: u64,
    requests_at_first: u64,
    connections: u64,
    open: u64,
    /// Open connections, added up over time, in seconds.
    held: f64,
    changed: f64,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            counts: Mutex::default(),
        }
    }

    /// A connection, until it is dropped.
    pub(crate) fn open(&self) -> impl Drop {
        self.turn(|counts| {
            counts.connections += 1;
            counts.open += 1;
        });
        Undo(self, |counts| counts.open -= 1)
    }

    /// A request, until it is dropped.
    pub(crate) fn request(&self) -> impl Drop {
        self.turn(|counts| {
            let now = Instant::now();
            let first = *counts.first.get_or_insert(now);
            counts.requests += 1;
            counts.in_hand += 1;
            if now < first + FIRST {
                counts.requests_at_first += 1;
                counts.most_at_first = counts.most_at_first.max(counts.in_hand);
            }
        });
        Undo(self, |counts| counts.in_hand -= 1)
    }

    /// Changes the counts; what was held until now is added up before.
    fn turn(&self, change: impl FnOnce(&mut Counts)) {
        let now = self.begun.elapsed().as_secs_f64();
        let mut counts = self.counts();
        let open = u32::try_from(counts.open).unwrap_or(u32::MAX);
        counts.held += f64::from(open) * (now - counts.changed);
        counts.changed = now;
        change(&mut counts);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Undo<'a>(&'a Seen, fn(&mut Counts));

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.0.turn(self.1);
    }
}

/// One line each: a word, and a number.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.turn(|_| ());
        let counts = self.counts().clone();
        writeln!(f, "requests {}", counts.requests)?;
        writeln!(f, "requests_at_first {}", counts.requests_at_first)?;
        writeln!(f, "most_at_first {}", counts.most_at_first)?;
        writeln!(f, "connections {}", counts.connections)?;
        writeln!(f, "held {}", counts.held)?;
        writeln!(f, "seconds {}", counts.changed)
    }
}
