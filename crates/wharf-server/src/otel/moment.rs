//! The time of day in nanoseconds, as spans and figures have it.

#![expect(clippy::disallowed_types, reason = "collectors want the time of day")]

use std::time::{Duration, SystemTime};

/// Now, in nanoseconds of Unix time.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, nanoseconds)
}

/// A duration in nanoseconds.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
