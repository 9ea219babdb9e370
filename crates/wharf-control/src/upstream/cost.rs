//! What asking an endpoint costs: the number that [`pick`](super::pick) makes least.

use super::PeakEwma;
use crate::Timestamp;

/// Latency × work: `latency · (in_flight + 1) / weight`, in seconds. The default.
///
/// Roughly the time until the answer, if the endpoint serves what it has in hand one after the other.
/// `weight` is the endpoint's share (1 is normal) times its [`SlowStart`](super::SlowStart) share; with
/// a weight of zero the cost is infinite, and the endpoint is taken only if all are such. An endpoint that
/// reports its own load is charged with the greater of that and what is known here.
pub fn latency_cost(latency: &PeakEwma, in_flight: u32, weight: f64, now: Timestamp) -> f64 {
    // One nanosecond at least, so that work still tells apart whose latency has decayed to nothing.
    const LEAST: f64 = 1e-9;
    latency.seconds(now).max(LEAST) * (f64::from(in_flight) + 1.0) / weight.max(0.0)
}

/// Least request: `(in_flight + phantom + 1) / weight`.
///
/// `phantom` is the load that failures are taken for ([`PhantomLoad`](super::PhantomLoad)), zero to do
/// without. Without it an endpoint that fails at once always has the least in flight.
pub fn request_cost(in_flight: u32, phantom: f64, weight: f64) -> f64 {
    (f64::from(in_flight) + phantom + 1.0) / weight.max(0.0)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these quotients are exact")]
mod tests {
    use std::time::Duration;

    use super::{latency_cost, request_cost};
    use crate::Timestamp;
    use crate::upstream::PeakEwma;

    const NOW: Timestamp = Timestamp::ZERO;

    #[test]
    fn work_in_hand_and_a_small_weight_make_an_endpoint_dear() {
        let latency = PeakEwma::new(Duration::from_millis(500), NOW);
        assert_eq!(latency_cost(&latency, 0, 1.0, NOW), 0.5);
        assert_eq!(latency_cost(&latency, 3, 1.0, NOW), 2.0);
        assert_eq!(latency_cost(&latency, 3, 0.5, NOW), 4.0);
        assert_eq!(request_cost(3, 0.0, 2.0), 2.0);
        assert_eq!(request_cost(3, 8.0, 1.0), 12.0);
    }

    #[test]
    fn without_latency_the_work_decides_and_without_weight_nothing_does() {
        let unknown = PeakEwma::new(Duration::ZERO, NOW);
        assert!(latency_cost(&unknown, 0, 1.0, NOW) < latency_cost(&unknown, 1, 1.0, NOW));
        assert_eq!(latency_cost(&unknown, 0, 0.0, NOW), f64::INFINITY);
        assert_eq!(request_cost(0, 0.0, -1.0), f64::INFINITY);
    }
}
