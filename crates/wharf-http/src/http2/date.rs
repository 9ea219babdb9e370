//! The `Date` of answers (RFC 9110 6.6.1), written once a second.

#![expect(
    clippy::disallowed_types,
    reason = "the codec writes no Date; nothing is decided by it"
)]

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

thread_local! {
    static DATE: RefCell<Option<Written>> = const { RefCell::new(None) };
}

struct Written {
    second: u64,
    value: HeaderValue,
}

/// The value of `Date` now.
pub(super) fn now() -> Option<HeaderValue> {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let second = since.as_secs();
    DATE.with_borrow_mut(|date| {
        if let Some(written) = date.as_ref().filter(|written| written.second == second) {
            return Some(written.value.clone());
        }
        let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()?;
        *date = Some(Written {
            second,
            value: value.clone(),
        });
        Some(value)
    })
}
