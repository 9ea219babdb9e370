//! [`Backoff`]: how long to wait after an accept that failed for want of something.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// Go's rule (`net/http`, `Server.Serve`): 5 ms, doubled with each failure in a row, at most 1 s.
///
/// Without a wait an exhausted process spins (tonic at `EMFILE`: 100 % of a core); with a fixed one
/// it is either busy or deaf (axum: 1 s each time).
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// A back-off whose first wait is the shortest.
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// The time to wait after one more failure in a row.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.last.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.last = Some(wait);
        wait
    }

    /// An accept worked: the next wait is the shortest again.
    pub const fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;

    #[test]
    fn waits_double_from_five_milliseconds_to_a_second_and_begin_again() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..10).map(|_| backoff.next_wait().as_millis()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        backoff.reset();
        assert_eq!(backoff.next_wait().as_millis(), 5);
    }
}
