//! The time of day, for people who read logs. Nothing is decided by it.

#![expect(clippy::disallowed_types, reason = "log lines carry the time of day")]

use std::time::SystemTime;

use humantime::{Rfc3339Timestamp, format_rfc3339_millis};

/// The time of day as RFC 3339 in UTC, to the millisecond.
pub(crate) fn now() -> Rfc3339Timestamp {
    format_rfc3339_millis(SystemTime::now())
}
