//! [`Ramp`]: a limit that is small after the start and grows to its full size.

use std::time::Duration;

/// The part of a limit that is there at once: one in so many.
const AT_ONCE: u128 = 10;

/// How a limit grows after the start: a tenth of it at once, then with the time to all of it, in a straight line
/// (`HAProxy`'s `slowstart` of `maxconn`, Envoy's least weight).
///
/// What is cold after a start (caches, connections to a database, code that is not in memory) makes requests slow just when
/// all clients come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    over: Duration,
}

impl Ramp {
    /// A ramp that takes so long.
    pub const fn new(over: Duration) -> Self {
        Self { over }
    }

    /// Whether it is over, so long after the start.
    pub fn is_over(self, since_start: Duration) -> bool {
        since_start >= self.over
    }

    /// What there is of `limit`, so long after the start; one at least.
    pub fn of(self, limit: u32, since_start: Duration) -> u32 {
        if self.is_over(since_start) {
            return limit;
        }
        let (limit, over) = (u128::from(limit), self.over.as_nanos());
        let part = (limit * since_start.as_nanos() / over).max(limit / AT_ONCE);
        // Less than the limit, so it fits.
        u32::try_from(part).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_tenth_is_there_at_once_and_all_of_it_at_the_end() {
        let ramp = Ramp::new(30 * SECOND);
        let at = |seconds| ramp.of(1_000, seconds * SECOND);
        assert_eq!([at(0), at(3), at(15), at(29)], [100, 100, 500, 966]);
        assert_eq!([at(30), at(31)], [1_000, 1_000]);
        assert!(ramp.is_over(30 * SECOND) && !ramp.is_over(29 * SECOND));
    }

    #[test]
    fn somebody_is_always_let_in() {
        assert_eq!(Ramp::new(SECOND).of(3, Duration::ZERO), 1);
        assert_eq!(Ramp::new(Duration::ZERO).of(3, Duration::ZERO), 3);
    }

    proptest! {
        #[test]
        fn it_only_grows_and_never_over_the_limit(
            limit in 1..u32::MAX,
            over in 1..u64::MAX,
            times in prop::array::uniform2(any::<u64>()),
        ) {
            let ramp = Ramp::new(Duration::from_nanos(over));
            let [early, late] = [times[0].min(times[1]), times[0].max(times[1])]
                .map(|at| ramp.of(limit, Duration::from_nanos(at)));
            prop_assert!(1 <= early && early <= late && late <= limit);
            prop_assert_eq!(ramp.of(limit, Duration::from_nanos(over)), limit);
        }
    }
}
