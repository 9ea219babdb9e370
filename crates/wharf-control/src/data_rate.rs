//! [`RateMeter`]: whether a peer that owes bytes delivers them fast enough.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::Timestamp;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The least that a peer must deliver, on average, while it is the one who is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinDataRate {
    /// Averaged over all the time that the peer was waited for.
    pub bytes_per_second: NonZeroU64,
    /// So much waiting is free: the average is judged afterwards.
    pub grace: Duration,
}

impl Default for MinDataRate {
    /// Kestrel's `MinRequestBodyDataRate` and `MinResponseDataRate`: 240 B/s after 5 s.
    fn default() -> Self {
        Self {
            bytes_per_second: NonZeroU64::new(240).expect("240 is not zero"),
            grace: Duration::from_secs(5),
        }
    }
}

/// How long one transfer waited for its peer, and what the peer delivered in that time.
///
/// Only a read or write that *blocks* makes the peer the slow side: [`waiting`](Self::waiting) when
/// the socket has nothing to give or to take, [`delivered`](Self::delivered) when it has again. The
/// time between the two counts, and so do the bytes that end it. Bytes that came without a wait
/// count for nothing, or else what the kernel takes at once at the begin of a response would be a
/// credit for hours. One meter for each direction of each request.
///
/// When a response fills the socket's send buffer, the socket takes more only after much of it has
/// drained, which at an honest 2 KB/s lasts minutes. So the writing side must not judge by what the
/// socket took, but by what the peer acknowledged: when [`due_at`](Self::due_at) comes, ask the
/// kernel (`SIOCOUTQ`, or `tcpi_bytes_acked`), report the difference with `delivered` and then
/// `waiting` at the same `now`, and look at the new due time.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateMeter {
    /// Waits that are over.
    waited: Duration,
    bytes: u64,
    waiting_since: Option<Timestamp>,
}

/// It is part of each connection and touched on its hot path.
const _: () = assert!(size_of::<RateMeter>() <= 40, "a RateMeter stays small");

impl RateMeter {
    /// A meter that has not waited yet.
    pub const fn new() -> Self {
        Self {
            waited: Duration::ZERO,
            bytes: 0,
            waiting_since: None,
        }
    }

    /// Whether the peer has never been waited for.
    pub fn is_new(&self) -> bool {
        self.waiting_since.is_none() && self.waited.is_zero()
    }

    /// From now on the peer is waited for. Said again during a wait it changes nothing.
    pub fn waiting(&mut self, now: Timestamp) {
        self.waiting_since.get_or_insert(now);
    }

    /// The peer delivered, and with that the wait is over; `waiting` begins another. Without a wait
    /// it changes nothing.
    pub fn delivered(&mut self, bytes: u64, now: Timestamp) {
        if self.waiting_since.is_some() {
            self.bytes = self.bytes.saturating_add(bytes);
            self.paused(now);
        }
    }

    /// We became the slow side: the wait is over without bytes.
    pub fn paused(&mut self, now: Timestamp) {
        if let Some(since) = self.waiting_since.take() {
            self.waited = self.waited.saturating_add(now - since);
        }
    }

    /// When the peer will be too slow if nothing more comes: the average falls under the minimum
    /// and the grace is used up. [`Timestamp::MAX`], never, while it is not waited for.
    ///
    /// Bytes pay for time, but not for more than has been waited already, and the grace: what
    /// disappears at once into the buffers of a peer that then stops buys it nothing, while one that
    /// has kept up for a minute may pause for a minute.
    pub fn due_at(&self, min: MinDataRate) -> Timestamp {
        let Some(since) = self.waiting_since else {
            return Timestamp::MAX;
        };
        let paid =
            u128::from(self.bytes) * NANOS_PER_SECOND / u128::from(min.bytes_per_second.get());
        let paid = u64::try_from(paid).map_or(Duration::MAX, Duration::from_nanos);
        let earned = self.waited.saturating_mul(2).saturating_add(min.grace);
        let allowed = paid.min(earned).max(min.grace);
        since.after(allowed.saturating_sub(self.waited))
    }

    /// Whether the peer is too slow now: `Some` from [`due_at`](Self::due_at) on.
    pub fn verdict(&self, min: MinDataRate, now: Timestamp) -> Option<TooSlow> {
        let since = self.waiting_since?;
        let waited = self.waited.saturating_add(now - since);
        (now >= self.due_at(min)).then_some(TooSlow {
            bytes: self.bytes,
            waited,
        })
    }
}

/// What a peer delivered that was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooSlow {
    /// The bytes that ended a wait.
    pub bytes: u64,
    /// The waits together, the present one included.
    pub waited: Duration,
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{MinDataRate, RateMeter};
    use crate::Timestamp;

    fn at(millis: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_millis(millis))
    }

    #[test]
    fn silence_is_too_slow_when_the_grace_is_over() {
        let mut meter = RateMeter::new();
        assert_eq!(meter.due_at(MinDataRate::default()), Timestamp::MAX);
        meter.waiting(at(1_000));
        meter.waiting(at(3_000));
        assert_eq!(meter.due_at(MinDataRate::default()), at(6_000));
        assert_eq!(meter.verdict(MinDataRate::default(), at(5_999)), None);
        let slow = meter
            .verdict(MinDataRate::default(), at(6_000))
            .expect("the grace is over");
        assert_eq!((slow.bytes, slow.waited), (0, Duration::from_secs(5)));
    }

    #[test]
    fn what_was_delivered_buys_time_on_average() {
        let mut meter = RateMeter::new();
        meter.waiting(at(0));
        meter.delivered(2_400, at(6_000));
        // Ten seconds are paid, six of them were waited.
        meter.waiting(at(6_000));
        assert_eq!(meter.due_at(MinDataRate::default()), at(10_000));
    }

    #[test]
    fn what_fills_a_buffer_at_once_buys_no_more_than_the_grace() {
        let mut meter = RateMeter::new();
        meter.waiting(at(0));
        meter.delivered(4 << 20, at(0));
        meter.waiting(at(0));
        assert_eq!(meter.due_at(MinDataRate::default()), at(5_000));
        // Who has kept up for a minute may pause for one, and the grace.
        meter.delivered(4 << 20, at(60_000));
        meter.waiting(at(60_000));
        assert_eq!(meter.due_at(MinDataRate::default()), at(125_000));
    }

    #[test]
    fn time_while_we_are_the_slow_side_does_not_count() {
        let mut meter = RateMeter::new();
        meter.waiting(at(0));
        meter.paused(at(4_000));
        assert_eq!(meter.due_at(MinDataRate::default()), Timestamp::MAX);
        assert_eq!(meter.verdict(MinDataRate::default(), at(900_000)), None);
        meter.waiting(at(1_000_000));
        assert_eq!(meter.due_at(MinDataRate::default()), at(1_001_000));
    }

    #[test]
    fn bytes_that_nobody_waited_for_are_no_credit() {
        let mut meter = RateMeter::new();
        meter.delivered(4 << 20, at(0));
        meter.waiting(at(0));
        assert_eq!(meter.due_at(MinDataRate::default()), at(5_000));
    }

    #[test]
    fn a_slow_but_steady_peer_passes_over_the_minimum_and_fails_under_it() {
        for (bytes_per_second, too_slow) in [(300, false), (200, true)] {
            let mut meter = RateMeter::new();
            let mut due = false;
            for second in 0..100 {
                meter.waiting(at(second * 1_000));
                due |= meter.due_at(MinDataRate::default()) < at(second * 1_000 + 1_000);
                meter.delivered(bytes_per_second, at(second * 1_000 + 1_000));
            }
            assert_eq!(due, too_slow, "{bytes_per_second} B/s");
        }
    }

    #[test]
    fn great_numbers_mean_never_instead_of_overflowing() {
        let mut meter = RateMeter::new();
        meter.waiting(at(0));
        meter.delivered(u64::MAX, at(0));
        meter.waiting(at(0));
        assert_eq!(meter.due_at(MinDataRate::default()), at(5_000));
        let patient = MinDataRate {
            grace: Duration::MAX,
            ..MinDataRate::default()
        };
        assert_eq!(meter.due_at(patient), Timestamp::MAX);
    }

    proptest! {
        #[test]
        fn the_verdict_is_that_of_the_average_within_what_was_earned(
            steps in prop::collection::vec((0..3_u8, 0..2_000_u64, 0..2_000_u64), 0..60),
            rate in 1..5_000_u64,
            grace in 0..10_000_u64,
        ) {
            let min = MinDataRate {
                bytes_per_second: NonZeroU64::new(rate).expect("from 1"),
                grace: Duration::from_millis(grace),
            };
            let mut meter = RateMeter::new();
            let (mut now, mut waited, mut delivered, mut done) = (0, 0, 0, 0);
            let mut owes = false;
            for (kind, pause, bytes) in steps {
                now += pause;
                waited += if owes { pause } else { 0 };
                let spent = delivered * 1_000 <= waited * rate || waited >= 2 * done + grace;
                let late = owes && waited >= grace && spent;
                prop_assert_eq!(meter.verdict(min, at(now)).is_some(), late);
                prop_assert_eq!(meter.due_at(min) <= at(now), late);
                match kind {
                    0 => meter.waiting(at(now)),
                    1 => meter.delivered(bytes, at(now)),
                    _ => meter.paused(at(now)),
                }
                delivered += if kind == 1 && owes { bytes } else { 0 };
                owes = kind == 0;
                done = if owes { done } else { waited };
            }
        }
    }
}
