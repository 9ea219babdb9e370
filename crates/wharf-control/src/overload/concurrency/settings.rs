//! [`ConcurrencySettings`]: the bounds of an adaptive limit.

use std::time::Duration;

/// Between what the limit moves, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencySettings {
    /// Never less: 2, or half the workers, if that is more. At least 1.
    pub least: u32,
    /// Never more: 4,096.
    pub most: u32,
    /// At first: 20.
    pub initial: u32,
    /// A latency that nine of ten requests are to be under, whatever throughput says: none. Not for what is proxied.
    pub ceiling: Option<Duration>,
}

impl ConcurrencySettings {
    /// The nearest settings that make sense: `1 ≤ least ≤ initial ≤ most`.
    pub(super) fn sensible(self) -> Self {
        let least = self.least.max(1);
        let most = self.most.max(least);
        Self {
            least,
            most,
            initial: self.initial.clamp(least, most),
            ceiling: self.ceiling,
        }
    }
}

impl Default for ConcurrencySettings {
    fn default() -> Self {
        Self {
            least: 2,
            most: 4_096,
            initial: 20,
            ceiling: None,
        }
    }
}
