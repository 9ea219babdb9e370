//! [`AdmissionSettings`]: whether requests are limited, and between which bounds.

use std::num::NonZeroU32;
use std::time::Duration;

use wharf_control::overload::ConcurrencySettings;

/// Whether a limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdmissionMode {
    /// Nothing is limited or measured.
    Off,
    /// Everything is measured and everybody let in; counted is who would not have been.
    DryRun,
    /// It holds.
    On,
}

/// Whether requests are limited, and between which bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionSettings {
    /// Whether it holds. Default on: whoever puts a limit around an application wants one.
    pub mode: AdmissionMode,
    /// Never fewer at a time. Default 2, or half the processors if that is more.
    pub least: NonZeroU32,
    /// Never more at a time. Default 4096.
    pub most: NonZeroU32,
    /// At first. Default 1000: too many for a moment is better than honest requests turned away before anything was measured.
    pub initial: NonZeroU32,
    /// What nine of ten requests are to take at most, whatever else is measured. Default none; not for applications that wait for other servers.
    pub target_latency: Option<Duration>,
}

impl Default for AdmissionSettings {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let least = u32::try_from(processors / 2).unwrap_or(u32::MAX).max(2);
        let count = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            mode: AdmissionMode::On,
            least: count(least),
            most: count(4_096),
            initial: count(1_000),
            target_latency: None,
        }
    }
}

impl AdmissionSettings {
    pub(super) fn law(&self) -> ConcurrencySettings {
        ConcurrencySettings {
            least: self.least.get(),
            most: self.most.get(),
            initial: self.initial.get(),
            ceiling: self.target_latency,
        }
    }
}
