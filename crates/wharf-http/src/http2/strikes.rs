//! [`Strikes`]: PINGs that come more often than a pool wants them.

use std::time::Duration;

use wharf_pool::Timestamp;

use super::meter::Tally;

/// PINGs that came too soon after the one before, since anything was last sent: BDP probes come with
/// the data that they measure, so they are none (grpc-go's `EnforcementPolicy`).
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    pings: u64,
    /// On the heap: most peers never ask.
    asked: Option<Box<Asked>>,
}

/// The PINGs since anything was last sent.
#[derive(Debug)]
struct Asked {
    last: Timestamp,
    /// How many came too soon.
    early: u64,
    /// What had been sent and opened by then.
    sent: u64,
    opened: u64,
}

/// The one that ends the connection.
const OUT: u64 = 3;

impl Strikes {
    /// Looks at what has come since the last look. Returns whether the peer is out; it never is
    /// without an interval.
    pub(crate) fn look(
        &mut self,
        tally: &Tally,
        interval: Option<Duration>,
        now: Timestamp,
    ) -> bool {
        let pings = tally.pings.saturating_sub(self.pings);
        self.pings = tally.pings;
        let Some(interval) = interval else {
            self.asked = None;
            return false;
        };
        let (sent, opened) = (tally.data_sent, tally.opened);
        if let Some(asked) = &self.asked
            && (asked.sent, asked.opened) != (sent, opened)
        {
            self.asked = None;
        }
        if pings == 0 {
            return self.is_out();
        }
        match &mut self.asked {
            Some(asked) => {
                asked.early += pings - 1 + u64::from(now.since(asked.last) < interval);
                asked.last = now;
            }
            None => {
                self.asked = Some(Box::new(Asked {
                    last: now,
                    early: pings - 1,
                    sent,
                    opened,
                }));
            }
        }
        self.is_out()
    }

    fn is_out(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.early >= OUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Timestamp {
        Timestamp::after_start(SECOND * seconds)
    }

    fn pings(pings: u64, data_sent: u64) -> Tally {
        Tally {
            pings,
            data_sent,
            ..Tally::default()
        }
    }

    #[test]
    fn the_third_ping_that_comes_too_soon_is_the_last() {
        let mut strikes = Strikes::default();
        let ends = (1..=4).map(|n| strikes.look(&pings(n.into(), 0), Some(5 * SECOND), at(n)));
        assert_eq!(ends.collect::<Vec<_>>(), [false, false, false, true]);
    }

    #[test]
    fn pings_at_their_interval_and_those_that_come_with_data_are_none() {
        let mut strikes = Strikes::default();
        for n in 1..100 {
            assert!(!strikes.look(&pings(n.into(), 0), Some(SECOND), at(n)));
        }
        for n in 100..200 {
            assert!(!strikes.look(&pings(n.into(), n.into()), Some(60 * SECOND), at(n)));
        }
    }

    #[test]
    fn without_an_interval_nobody_is_out() {
        let mut strikes = Strikes::default();
        assert!(!strikes.look(&pings(1000, 0), None, at(1)));
    }
}
