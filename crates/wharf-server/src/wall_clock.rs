//! The time of day, for people who read logs, and for certificates.

#![expect(clippy::disallowed_types, reason = "log lines carry the time of day")]

use std::time::SystemTime;

use humantime::{Rfc3339Timestamp, format_rfc3339_millis};
use wharf_http::tls::UtcTime;

/// A name for a process that began now: no other of this machine had it.
pub(crate) fn era() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{:x}", since.map_or(0, |since| since.as_millis()))
}

/// The time of day as RFC 3339 in UTC, to the millisecond.
pub(crate) fn now() -> Rfc3339Timestamp {
    format_rfc3339_millis(SystemTime::now())
}

/// The time of day as certificates have it.
pub(crate) fn utc() -> UtcTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    UtcTime::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}
