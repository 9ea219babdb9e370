//! [`Load`]: the utilization of a pool, with ratios held over windows that say too little.

use super::status::Cause;
use super::thresholds::HealthThresholds;
use super::window::{HealthWindow, TERMS};

/// The terms in force, from this window or held from an earlier one.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    held: [Held; TERMS.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    utilization: Option<f64>,
    windows: u32,
}

impl Load {
    pub(super) fn observe(&mut self, window: &HealthWindow, thresholds: &HealthThresholds) {
        for (held, (_, term)) in self.held.iter_mut().zip(window.terms()) {
            *held = match term {
                Some(term) if term.samples.suffice(thresholds.min_samples) => Held {
                    utilization: Some(term.utilization),
                    windows: 0,
                },
                Some(_) if held.windows < thresholds.hold_windows => Held {
                    windows: held.windows + 1,
                    ..*held
                },
                Some(_) | None => Held::default(),
            };
        }
    }

    /// The highest utilization and what it is of.
    pub(super) fn highest(&self) -> Option<(Cause, f64)> {
        let mut highest: Option<(Cause, f64)> = None;
        for (cause, held) in TERMS.into_iter().zip(&self.held) {
            if let Some(utilization) = held.utilization
                && highest.is_none_or(|(_, most)| utilization > most)
            {
                highest = Some((cause, utilization));
            }
        }
        highest
    }
}
