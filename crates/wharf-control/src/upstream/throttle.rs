//! [`Throttle`]: a client that does not ask what will be refused.

use crate::{Random, SlidingWindow, Timestamp};

/// Google's client-side throttling ("Site Reliability Engineering", chapter 21): with `requests` and `accepts` of the last
/// 30 s, a request is refused here with the probability
/// `min(0.9, max(0, (requests - 20 - 2 · accepts) / (requests + 1)))`.
///
/// While the endpoint accepts at least half, nothing is refused. With nothing accepted nine of ten are,
/// and the tenth finds out whether it is back. The first 20 requests of a window are no ground for anything.
/// Requests that are refused here count as requests: so the more the endpoint refuses, the fewer it gets.
#[derive(Clone, Debug)]
pub struct Throttle {
    requests: SlidingWindow<30>,
    accepts: SlidingWindow<30>,
}

impl Throttle {
    /// Requests for each accept that are not too many: 2.
    pub const RATIO: f64 = 2.0;
    /// Requests of a window that prove nothing: 20.
    pub const PROTECTION: f64 = 20.0;
    /// At least one of ten goes through.
    pub const MOST: f64 = 0.9;

    /// A throttle that has seen nothing.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            requests: SlidingWindow::new(now),
            accepts: SlidingWindow::new(now),
        }
    }

    /// Counts a request and says whether it may be sent.
    pub fn allows(&mut self, random: &mut Random, now: Timestamp) -> bool {
        let refused = random.unit() < self.refusal(now);
        self.requests.add(1, now);
        !refused
    }

    /// The endpoint took a request on, whatever came of it later: anything but an answer that says that
    /// there is no room (HTTP 429 and 503; gRPC 8 and 14), and no answer.
    pub fn accepted(&mut self, now: Timestamp) {
        self.accepts.add(1, now);
    }

    /// The probability with which the next request is refused here.
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits of a count are enough for a probability"
    )]
    pub fn refusal(&self, now: Timestamp) -> f64 {
        let requests = self.requests.total(now) as f64;
        let accepts = self.accepts.total(now) as f64;
        let excess = requests - Self::PROTECTION - Self::RATIO * accepts;
        (excess / (requests + 1.0)).clamp(0.0, Self::MOST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Throttle;
    use crate::{Random, Timestamp};

    fn second(second: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_secs(second))
    }

    fn after(requests: u32, accepts: u32) -> Throttle {
        let mut throttle = Throttle::new(second(0));
        throttle.requests.add(u64::from(requests), second(0));
        throttle.accepts.add(u64::from(accepts), second(0));
        throttle
    }

    #[test]
    fn the_formula_of_the_book_with_protection_and_a_cap() {
        let refusal = |requests, accepts| after(requests, accepts).refusal(second(0));
        assert!(refusal(20, 0).abs() < 1e-9);
        assert!((refusal(100, 20) - 40.0 / 101.0).abs() < 1e-9);
        assert!(refusal(1_000, 490).abs() < 1e-9);
        assert!((refusal(1_000_000, 0) - 0.9).abs() < 1e-9);
    }

    #[test]
    fn what_was_half_a_minute_ago_is_forgotten() {
        let throttle = after(1_000, 0);
        assert!(throttle.refusal(second(29)) > 0.89);
        assert!(throttle.refusal(second(30)).abs() < 1e-9);
    }

    /// 1,000 requests/s for a minute: how many are sent in the last 20 s.
    fn sent(mut accepts: impl FnMut(u64) -> bool) -> u32 {
        let (mut throttle, mut random) = (Throttle::new(second(0)), Random::new(5));
        let mut sent = 0;
        for tick in 0..60_000 {
            let now = Timestamp::after_start(Duration::from_millis(tick));
            if throttle.allows(&mut random, now) {
                sent += u32::from(tick >= 40_000);
                if accepts(tick) {
                    throttle.accepted(now);
                }
            }
        }
        sent
    }

    #[test]
    fn an_endpoint_that_takes_100_a_second_is_sent_twice_that() {
        let mut taken = 0;
        let sent = sent(|tick| {
            let room = taken < tick / 10;
            taken += u64::from(room);
            room
        });
        assert!((3_800..4_200).contains(&sent), "{sent}");
    }

    #[test]
    fn an_endpoint_that_takes_every_second_request_gets_nearly_all() {
        let mut turn = 0_u32;
        let sent = sent(|_| {
            turn += 1;
            turn.is_multiple_of(2)
        });
        assert!(sent > 19_000, "{sent}");
    }

    proptest! {
        #[test]
        fn refusal_is_a_probability_that_accepts_lower(requests in 0..100_000_u32, accepts in 0..100_000_u32) {
            let refusal = after(requests, accepts).refusal(second(0));
            prop_assert!((0.0..=Throttle::MOST).contains(&refusal));
            prop_assert!(after(requests, accepts + 1).refusal(second(0)) <= refusal);
        }
    }
}
