//! [`Timestamp`]: a point in time that somebody else measured.

use std::fmt;
use std::num::NonZero;
use std::ops::Sub;
use std::time::Duration;

/// A point in time: nanoseconds since a start that the caller chose once.
///
/// Nothing in this crate reads a clock. Whoever drives it (in wharf, the driver of the connections)
/// turns its own clock into timestamps, which are comparable only with others of the same start.
/// Differences saturate: a timestamp from the "future" is zero old.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// One more than the nanoseconds, so that an `Option` takes no room of its own: connections hold
    /// many.
    NonZero<u64>,
);

impl Timestamp {
    /// The start itself.
    pub const ZERO: Self = Self(NonZero::<u64>::MIN);

    /// The latest timestamp there is, 584 years after the start: "never".
    pub const MAX: Self = Self(NonZero::<u64>::MAX);

    /// The timestamp `nanos` nanoseconds after the start, at most [`Timestamp::MAX`].
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZero::<u64>::MIN.saturating_add(nanos))
    }

    /// The timestamp `since_start` after the start, [`Timestamp::MAX`] if that is too far to count.
    pub fn after_start(since_start: Duration) -> Self {
        Self::ZERO.after(since_start)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// This timestamp moved `by` into the future, at most to [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.as_nanos()).finish()
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}
