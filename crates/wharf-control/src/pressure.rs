//! [`PressureLaw`]: how near a process is to the end of its memory, and what is done about it.
//!
//! A ladder: each [`Rung`] has a share of the memory at which it is stepped on, at once, and one a
//! twentieth below, under which it is left when a second has passed. Rungs and no line, because every
//! step is told to all connections.
//!
//! Connections and descriptors are not judged here: they are counted exactly, and who comes when there
//! are no more is told so at the door. Nothing is gained by sending somebody away before.

use std::time::Duration;

use crate::Timestamp;

/// What a rung's share has to fall below, from where it was stepped on.
const HYSTERESIS: f64 = 0.05;

/// And for how long. Memory that has come free is not always seen at once.
const CALM: Duration = Duration::from_secs(1);

/// A process in which every task waits for memory for so large a share of the time is short of it,
/// whatever the figures say: what it uses is fetched back from where the kernel has put it.
const STALLED: f64 = 0.1;

/// From this share on that is believed: below, somebody else's tasks may be the ones that wait.
const PLAUSIBLE: f64 = 0.80;

/// Idle connections are let be for so long, however short the memory is.
const SHORTEST: Duration = Duration::from_secs(2);

/// To look costs some 50 µs: half a percent of a processor.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// What nobody notices.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What is known of the memory at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers build it")]
pub struct MemoryLoad {
    /// What is used of what may be used: 1 is the end.
    pub used: f64,
    /// The share of the time in which no task could go on for want of memory, zero if not known.
    pub stalled: f64,
}

impl MemoryLoad {
    /// One figure for both.
    fn pressure(self) -> f64 {
        if self.stalled >= STALLED && self.used >= PLAUSIBLE {
            self.used.max(Rung::Parting.enter())
        } else if self.used.is_nan() {
            0.0
        } else {
            self.used
        }
    }
}

/// How far a server goes, from nothing to the last resort. Each rung does what those below it do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rung {
    /// There is room.
    #[default]
    Calm,
    /// Idle connections are left a quarter sooner than they would be.
    Easing,
    /// Half as soon.
    Squeezing,
    /// Idle connections are left after a quarter of their time, answers are the last of their
    /// connections, and those with the most requests in flight are asked to finish.
    Parting,
    /// Idle connections are left after two seconds; newcomers are turned away, and new streams on
    /// connections that are there.
    Refusing,
    /// Those with the most requests in flight are cut, lest the kernel end the process.
    Cutting,
}

impl Rung {
    /// All of them, from the lowest.
    pub const ALL: [Self; 6] = [
        Self::Calm,
        Self::Easing,
        Self::Squeezing,
        Self::Parting,
        Self::Refusing,
        Self::Cutting,
    ];

    /// The word for it in events, logs and the admin API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Easing => "easing",
            Self::Squeezing => "squeezing",
            Self::Parting => "parting",
            Self::Refusing => "refusing",
            Self::Cutting => "cutting",
        }
    }

    /// The pressure at which it is stepped on.
    pub const fn enter(self) -> f64 {
        match self {
            Self::Calm => 0.0,
            Self::Easing => 0.85,
            Self::Squeezing => 0.885,
            Self::Parting => 0.92,
            Self::Refusing => 0.95,
            Self::Cutting => 0.98,
        }
    }

    /// How long an idle connection is let be that has `timeout` for it otherwise.
    pub fn idle(self, timeout: Duration) -> Duration {
        let quarters = match self {
            Self::Calm => 4,
            Self::Easing => 3,
            Self::Squeezing => 2,
            Self::Parting => 1,
            Self::Refusing | Self::Cutting => 0,
        };
        let least = SHORTEST.min(timeout);
        least + timeout.saturating_sub(least) * quarters / 4
    }

    /// The highest that this pressure reaches, with so much off what each takes.
    fn reached(pressure: f64, off: f64) -> Self {
        let mut ladder = Self::ALL.into_iter().rev();
        let reached = ladder.find(|rung| pressure >= rung.enter() - off);
        reached.unwrap_or_default()
    }
}

/// What one of `sharing` connections may have its peer fill, where all of the process has `memory`: together
/// some half of it. The first have as much as they are configured for, and those that come when there are
/// many have less; else a few connections could fill all of it between two looks.
pub fn share_of(memory: u64, sharing: u64) -> u64 {
    (memory / SHARED / sharing.max(1)).max(LEAST_SHARE)
}

/// Of the memory an eighth is dealt out: the first gets all that, the second half of it, and so on, which comes
/// to four to five times as much for a hundred.
const SHARED: u64 = 8;

/// Less would make every connection slow.
const LEAST_SHARE: u64 = 512 << 10;

/// On which rung a process stands. Up at once, down after a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct PressureLaw {
    rung: Rung,
    pressure: f64,
    /// Since when a lower rung would do.
    below_since: Option<Timestamp>,
}

impl PressureLaw {
    /// Looks at the memory, several times a second. The rung that is in force from now on.
    pub fn look(&mut self, load: MemoryLoad, now: Timestamp) -> Rung {
        self.pressure = load.pressure();
        let needed = Rung::reached(self.pressure, 0.0);
        let kept = Rung::reached(self.pressure, HYSTERESIS);
        if needed >= self.rung {
            self.rung = needed;
            self.below_since = None;
        } else if kept >= self.rung {
            self.below_since = None;
        } else if now.since(*self.below_since.get_or_insert(now)) >= CALM {
            self.rung = kept;
            self.below_since = None;
        }
        self.rung
    }

    /// When to look again, with so many bytes left: a quarter of the time in which a fast network fills them
    /// (10 Gbit/s, a byte in a nanosecond), so that no burst comes to the end unseen.
    pub fn pause(left: u64) -> Duration {
        Duration::from_nanos(left / 4).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }

    /// The rung in force.
    pub const fn rung(&self) -> Rung {
        self.rung
    }

    /// The pressure at the last look, 1 being the end.
    pub const fn pressure(&self) -> f64 {
        self.pressure
    }
}

#[cfg(test)]
mod tests;
