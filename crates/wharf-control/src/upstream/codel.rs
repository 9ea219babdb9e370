//! [`Codel`]: whether a queue stands, or only has a burst in it.

use std::time::Duration;

use crate::Timestamp;

/// The numbers of [`Codel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodelSettings {
    /// The shortest wait of an interval that is too long: 5 ms. Twice as much is the most that is waited
    /// while the queue stands.
    pub target: Duration,
    /// How long the shortest wait must be too long: 100 ms.
    pub interval: Duration,
}

impl Default for CodelSettings {
    fn default() -> Self {
        Self {
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
        }
    }
}

/// Controlled delay as Facebook's folly has it (`Codel.cpp`): where even the shortest wait of an interval
/// was over the target, the queue stands; then whoever has waited over twice the target is dropped.
///
/// A burst is served: it passes, and someone in it waits short. A standing queue only makes everybody late.
/// Folly's rule drops all that is late and not ever more of it (Nichols and Jacobson's square root),
/// since a request, unlike a packet, is worth nothing when it is late.
#[derive(Clone, Debug)]
pub struct Codel {
    settings: CodelSettings,
    /// Of the present interval.
    shortest: Option<Duration>,
    ends: Timestamp,
    standing: bool,
}

impl Codel {
    /// A queue that does not stand.
    pub fn new(settings: CodelSettings, now: Timestamp) -> Self {
        Self {
            settings,
            shortest: None,
            ends: now.after(settings.interval),
            standing: false,
        }
    }

    /// Takes other numbers from now on; what is known of the queue stays.
    pub const fn set(&mut self, settings: CodelSettings) {
        self.settings = settings;
    }

    /// Someone leaves the queue after a wait; true if he is to be dropped.
    pub fn leaves(&mut self, waited: Duration, now: Timestamp) -> bool {
        self.turn(now);
        self.shortest = Some(self.shortest.map_or(waited, |least| least.min(waited)));
        self.standing && waited > self.settings.target.saturating_mul(2)
    }

    /// The queue is empty: nobody waits at all.
    pub fn emptied(&mut self, now: Timestamp) {
        self.turn(now);
        self.shortest = Some(Duration::ZERO);
    }

    /// Whether the queue stands: the newest is then the one to serve, for he is the one whose client still waits.
    pub fn is_standing(&mut self, now: Timestamp) -> bool {
        self.turn(now);
        self.standing
    }

    fn turn(&mut self, now: Timestamp) {
        if now < self.ends {
            return;
        }
        // An interval in which nobody left says nothing of its own: who is next to leave will.
        if let Some(shortest) = self.shortest.take() {
            self.standing = shortest > self.settings.target;
        }
        self.ends = now.after(self.settings.interval);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Codel, CodelSettings};
    use crate::Timestamp;

    const MS: Duration = Duration::from_millis(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_is_served_whole() {
        let mut codel = Codel::new(CodelSettings::default(), at(0));
        for waited in 0..90 {
            assert!(!codel.leaves(waited * MS, at(u64::from(waited))));
        }
        codel.emptied(at(90));
        assert!(!codel.is_standing(at(100)));
    }

    #[test]
    fn in_a_standing_queue_the_late_are_dropped_until_someone_waits_short() {
        let mut codel = Codel::new(CodelSettings::default(), at(0));
        assert!(!codel.leaves(20 * MS, at(50)));
        assert!(codel.leaves(20 * MS, at(100)));
        assert!(
            !codel.leaves(10 * MS, at(120)),
            "twice the target is not over it"
        );
        assert!(!codel.leaves(MS, at(140)));
        assert!(codel.leaves(20 * MS, at(199)), "the interval is not over");
        assert!(!codel.leaves(20 * MS, at(200)));
    }

    #[test]
    fn the_target_itself_is_short_enough() {
        let mut codel = Codel::new(CodelSettings::default(), at(0));
        codel.leaves(5 * MS, at(10));
        assert!(!codel.is_standing(at(100)));
        codel.leaves(6 * MS, at(110));
        assert!(codel.is_standing(at(200)));
    }

    #[test]
    fn silence_changes_nothing_and_an_empty_queue_ends_it() {
        let mut codel = Codel::new(CodelSettings::default(), at(0));
        codel.leaves(20 * MS, at(10));
        assert!(codel.is_standing(at(100)) && codel.is_standing(at(60_000)));
        codel.emptied(at(60_010));
        assert!(!codel.is_standing(at(60_100)));
    }
}
