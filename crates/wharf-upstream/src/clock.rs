//! [`Clock`]: tokio's time as the laws count it.

use tokio::time::Instant;
use wharf_control::Timestamp;

/// The time since the upstream was made. Waits of milliseconds are decided by it, for which the
/// pool's coarse clock is too coarse.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Timestamp {
        self.at(Instant::now())
    }

    pub(crate) fn at(self, instant: Instant) -> Timestamp {
        Timestamp::after_start(instant.saturating_duration_since(self.0))
    }

    pub(crate) fn instant(self, at: Timestamp) -> Instant {
        self.0 + at.since(Timestamp::ZERO)
    }
}
