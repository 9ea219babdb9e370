//! [`OutlierSettings`]: every number of the ejection, in one place.

use std::num::NonZeroU32;
use std::time::Duration;

/// When an endpoint is ejected, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutlierSettings {
    /// So many failures in a row eject: 5 (Envoy, finagle, linkerd).
    pub consecutive: NonZeroU32,
    /// A lower part of successes among the last 10 s ejects: 0.5. Zero never does …
    pub success_ratio: f64,
    /// … of at least so many requests: 20. With fewer, chance would eject.
    pub min_requests: u64,
    /// The first ejection: 30 s.
    pub base: Duration,
    /// The longest: 300 s.
    pub longest: Duration,
    /// Each is up to this part longer, so that not all come back at once: 0.1.
    pub jitter: f64,
    /// So much service makes the next ejection one step shorter: 10 s, at least one.
    pub forgive_each: Duration,
    /// A probe without an outcome is given up after this: 10 s.
    pub probe_timeout: Duration,
}

impl Default for OutlierSettings {
    fn default() -> Self {
        Self {
            consecutive: NonZeroU32::new(5).expect("5 is not zero"),
            success_ratio: 0.5,
            min_requests: 20,
            base: Duration::from_secs(30),
            longest: Duration::from_mins(5),
            jitter: 0.1,
            forgive_each: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(10),
        }
    }
}
