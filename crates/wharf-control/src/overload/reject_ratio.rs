//! [`RejectRatio`]: which part of the requests to turn away.

use std::time::Duration;

/// What flowed in an interval, and what there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Requests that were let through to the queue for a place under the limit, whether or not it had room.
    pub came: u32,
    /// Requests that got a place.
    pub went: u32,
    /// Places under the limit that are free now.
    pub free: u32,
    /// Whether somebody had to wait in the last second, or was turned away.
    pub full: bool,
    /// How long it was: 500 ms by default.
    pub interval: Duration,
}

/// A PI controller, as in Uber's Cinnamon: with `e = (came - (went + free)) / max(went, 1)` and `I` the sum of `e · Δt`, the
/// ratio is `0.1 · e + 0.7 · I`, from 0 to 0.95. Cinnamon's 1.4 swings at intervals of 500 ms where calls come
/// in fours.
///
/// The integral holds a ratio that is right, where a rule of thresholds swings between all and nothing. It is bounded to
/// what the ratio can use, and halved, the ratio being zero, when there has been room for everybody for a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct RejectRatio {
    integral: f64,
    ratio: f64,
}

impl RejectRatio {
    const PROPORTIONAL: f64 = 0.1;
    const INTEGRAL: f64 = 0.7;
    const MOST: f64 = 0.95;

    /// A controller that rejects nothing.
    pub const fn new() -> Self {
        Self {
            integral: 0.0,
            ratio: 0.0,
        }
    }

    /// The part to be rejected now.
    pub const fn ratio(self) -> f64 {
        self.ratio
    }

    /// An interval has passed: the new ratio.
    pub fn on_interval(&mut self, flow: &Flow) -> f64 {
        if !flow.full {
            self.integral *= 0.5;
            self.ratio = 0.0;
            return self.ratio;
        }
        let went = f64::from(flow.went);
        let error = (f64::from(flow.came) - went - f64::from(flow.free)) / went.max(1.0);
        let integral = self.integral + error * flow.interval.as_secs_f64();
        self.integral = integral.clamp(0.0, 1.0 / Self::INTEGRAL);
        let ratio = Self::PROPORTIONAL * error + Self::INTEGRAL * self.integral;
        self.ratio = ratio.clamp(0.0, Self::MOST);
        self.ratio
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Flow, RejectRatio};

    fn flow(came: u32, went: u32, free: u32, full: bool) -> Flow {
        Flow {
            came,
            went,
            free,
            full,
            interval: Duration::from_millis(500),
        }
    }

    #[test]
    fn twice_the_load_settles_where_half_is_rejected() {
        let mut ratio = RejectRatio::new();
        let mut late = 0.0;
        for interval in 0..200 {
            let came = 750.0 * (1.0 - ratio.ratio());
            // 375 can be done in the half second, and then 10 places are free unless there is more to do.
            let went = came.min(375.0);
            let free = if came < 375.0 { 10 } else { 0 };
            let count = |n: f64| crate::rounding::floor(n);
            ratio.on_interval(&flow(count(came), count(went), free, true));
            late += if interval >= 100 {
                ratio.ratio() / 100.0
            } else {
                0.0
            };
        }
        assert!((late - 0.5).abs() < 0.05, "{late}");
    }

    #[test]
    fn with_room_for_everybody_nobody_is_rejected_and_the_past_fades() {
        let mut ratio = RejectRatio::new();
        ratio.on_interval(&flow(2_000, 500, 0, true));
        assert!(ratio.ratio() > 0.9);
        assert!(ratio.on_interval(&flow(10, 10, 50, false)).abs() < 1e-9);
        assert!(ratio.on_interval(&flow(10, 10, 0, true)) < 0.6);
    }

    proptest! {
        #[test]
        fn the_ratio_is_never_all(flows in prop::collection::vec((0..9_999_u32, 0..9_999_u32, 0..999_u32, any::<bool>()), 0..50)) {
            let mut ratio = RejectRatio::new();
            for (came, went, free, full) in flows {
                prop_assert!((0.0..=0.95).contains(&ratio.on_interval(&flow(came, went, free, full))));
            }
        }
    }
}
