//! [`Pressure`]: watches how much memory is left, and has connections given up before there is none.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wharf_control::{MemoryLoad, PressureLaw};
use wharf_pool::{Rung, Timestamp};

use crate::admin::Desk;
use crate::config::LimitMode;
use crate::memory::{MemoryGauge, MemoryReading};

/// How often is looked whether it is to be looked at all.
const ASIDE: Duration = Duration::from_millis(250);

/// So many times as long as it takes to give free memory back is waited until it is done again: whoever
/// allocates waits meanwhile.
const TRIM_SHARE: u32 = 4;

/// What was seen last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// How much memory is used; `None` if nobody has looked.
    pub(crate) reading: Option<MemoryReading>,
    /// How far the server goes, or would go.
    pub(crate) rung: Rung,
}

/// What was seen of the memory.
#[derive(Debug, Default)]
pub(crate) struct Pressure(Mutex<Seen>);

impl Pressure {
    /// What was seen last.
    pub(crate) fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, seen: Seen) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// Looks at the memory for ever.
pub(crate) async fn watch(desk: &Desk) {
    let gauge = MemoryGauge::open();
    let mut law = PressureLaw::default();
    let mut trim_at = Instant::now();
    let mut pause = Duration::ZERO;
    loop {
        sleep(pause).await;
        pause = ASIDE;
        let limits = desk.live.config().limits.clone();
        if limits.pressure == LimitMode::Off {
            law = PressureLaw::default();
            desk.registry().strain().set_memory(None);
            desk.registry().relieve(Rung::Calm, 0.0);
            desk.pressure.note(Seen::default());
            continue;
        }
        if law.rung() > Rung::Calm && Instant::now() >= trim_at {
            // What was freed still counts as used until then.
            let begun = Instant::now();
            wharf_sys::give_back();
            trim_at = Instant::now() + begun.elapsed() * TRIM_SHARE;
        }
        let resident = desk.figures.without_descriptors().resident_bytes;
        let Some(reading) = gauge.read(limits.memory, resident) else {
            continue;
        };
        pause = PressureLaw::pause(reading.left());
        let load = MemoryLoad {
            used: reading.ratio(),
            stalled: reading.stalled,
        };
        let before = law.rung();
        let rung = law.look(load, Timestamp::after_start(desk.started.elapsed()));
        tell(before, rung, &reading, limits.pressure);
        desk.pressure.note(Seen {
            reading: Some(reading),
            rung,
        });
        let on = limits.pressure == LimitMode::On;
        desk.registry()
            .strain()
            .set_memory(on.then_some(reading.limit));
        if on {
            let relieved = desk.registry().relieve(rung, law.pressure());
            if relieved.cut > 0 {
                let connections = relieved.cut;
                tracing::warn!(connections, "cut before the memory is at its end");
            }
        } else {
            desk.registry().relieve(Rung::Calm, 0.0);
        }
    }
}

fn tell(before: Rung, rung: Rung, reading: &MemoryReading, mode: LimitMode) {
    if before == rung {
        return;
    }
    let (from, to, mode) = (before.as_str(), rung.as_str(), mode.as_str());
    let (used, limit) = (reading.used, reading.limit);
    if rung > before {
        tracing::warn!(from, to, used, limit, mode, "memory is short");
    } else {
        tracing::info!(from, to, used, limit, mode, "memory has come free");
    }
}
