//! [`LevelGate`]: of the requests that come, the more important part.

use super::Level;
use crate::rounding::ceil;

const SEEN: usize = 1_000;

/// Lets through the levels that make up the wanted part of the last 1,000 requests that came while there was no room.
///
/// Levels from the threshold up are let through; it is found anew when the part to be rejected
/// changes ([`RejectRatio`](super::RejectRatio)), twice a second. Requests of the first class are let through in any case while they hold under a tenth
/// of the limit. 3.3 KB.
#[derive(Clone, Debug)]
pub struct LevelGate {
    seen: [Level; SEEN],
    next: usize,
    known: u32,
    counts: [u16; Level::COUNT],
    threshold: Level,
}

impl LevelGate {
    /// A gate that lets everything through.
    pub const fn new() -> Self {
        Self {
            seen: [Level::LAST; SEEN],
            next: 0,
            known: 0,
            counts: [0; Level::COUNT],
            threshold: Level::LAST,
        }
    }

    /// A request comes, admitted or not, while there is no room.
    pub const fn saw(&mut self, level: Level) {
        if self.known as usize == SEEN {
            self.counts[self.seen[self.next].index()] -= 1;
        } else {
            self.known += 1;
        }
        self.seen[self.next] = level;
        self.next = (self.next + 1) % SEEN;
        self.counts[level.index()] += 1;
    }

    /// From now on this part of the requests is rejected, as exactly as levels allow.
    pub fn reject(&mut self, part: f64) {
        if part <= 0.0 {
            self.threshold = Level::LAST;
            return;
        }
        let wanted = ceil((1.0 - part) * f64::from(self.known));
        let mut through = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            through += u32::from(count);
            if through >= wanted {
                self.threshold = Level::from_index(index);
                return;
            }
        }
        self.threshold = Level::LAST;
    }

    /// Whether a request of this level is let through, where `critical` requests of the first class are in flight under a limit.
    pub fn admits(&self, level: Level, critical: u32, limit: u32) -> bool {
        level <= self.threshold
            || level.is_critical() && u64::from(critical) * 10 < u64::from(limit)
    }

    /// The least important level that is let through: what callers may be told, so that they leave out what would be rejected.
    pub const fn threshold(&self) -> Level {
        self.threshold
    }
}

impl Default for LevelGate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::LevelGate;
    use crate::overload::{Class, Level};

    fn level(class: Class, user: u64) -> Level {
        Level::new(class, user, 0)
    }

    #[test]
    fn the_less_important_class_goes_first() {
        let mut gate = LevelGate::new();
        for user in 0..500 {
            gate.saw(level(Class::Interactive, user));
            gate.saw(level(Class::Background, user));
        }
        gate.reject(0.5);
        for user in 0..500 {
            assert!(gate.admits(level(Class::Interactive, user), 0, 100));
            assert!(!gate.admits(level(Class::Background, user), 0, 100));
        }
        gate.reject(0.0);
        assert!(gate.admits(Level::LAST, 0, 0));
    }

    #[test]
    fn the_first_class_keeps_a_tenth_of_the_limit() {
        let mut gate = LevelGate::new();
        let levels: Vec<Level> = (0..1_000)
            .map(|user| level(Class::Critical, user))
            .collect();
        for &level in &levels {
            gate.saw(level);
        }
        gate.reject(0.95);
        let last = *levels.iter().max().unwrap();
        assert!(gate.admits(last, 9, 100) && !gate.admits(last, 10, 100));
        assert!(!gate.admits(level(Class::Interactive, 1), 0, 100));
    }

    proptest! {
        #[test]
        fn the_wanted_part_of_the_last_thousand_is_rejected_to_within_one_level(part in 0.0..1.0_f64, seed in any::<u32>()) {
            let seed = u64::from(seed);
            let mut gate = LevelGate::new();
            for user in 0..2_500 {
                gate.saw(level(Class::Normal, seed + user));
            }
            gate.reject(part);
            let (mut through, mut last) = (0, 0);
            for user in 1_500..2_500 {
                let level = level(Class::Normal, seed + user);
                through += u32::from(gate.admits(level, 0, 0));
                last += u32::from(level == gate.threshold());
            }
            let wanted = (1.0 - part) * 1_000.0;
            prop_assert!(f64::from(through) >= wanted, "{through} of {wanted}");
            prop_assert!(f64::from(through) < wanted + f64::from(last.max(1)), "{through} of {wanted}");
        }
    }
}
