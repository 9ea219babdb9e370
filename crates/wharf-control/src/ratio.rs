//! [`SlidingRatio`]: which part of something went one way lately.

use crate::{SlidingWindow, Timestamp};

/// The part of a whole over the last `N` seconds, such as failed requests of all requests.
///
/// It decays by itself: what left the window no longer counts, so a ratio that was bad once does
/// not stay bad.
#[derive(Clone, Debug)]
pub struct SlidingRatio<const N: usize> {
    part: SlidingWindow<N>,
    whole: SlidingWindow<N>,
}

impl<const N: usize> SlidingRatio<N> {
    /// An empty window that begins now.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            part: SlidingWindow::new(now),
            whole: SlidingWindow::new(now),
        }
    }

    /// Counts `part` of `whole`; the part is included in the whole.
    pub fn add(&mut self, part: u64, whole: u64, now: Timestamp) {
        self.part.add(part, now);
        self.whole.add(whole, now);
    }

    /// The part of the window, in 0 to 1, or `None` if nothing at all was counted in it.
    pub fn ratio(&self, now: Timestamp) -> Option<f64> {
        ratio(self.part.total(now), self.samples(now)).map(|ratio| ratio.min(1.0))
    }

    /// The whole of the window: how many samples its ratio rests on.
    pub fn samples(&self, now: Timestamp) -> u64 {
        self.whole.total(now)
    }
}

/// `part` of `whole`, or `None` of nothing.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits of a count are enough for a ratio"
)]
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::SlidingRatio;
    use crate::Timestamp;

    #[test]
    fn a_bad_minute_is_forgotten_after_a_minute() {
        let at = |second| Timestamp::after_start(Duration::from_secs(second));
        let mut errors = SlidingRatio::<60>::new(at(0));
        assert_eq!(errors.ratio(at(0)), None);
        errors.add(30, 40, at(0));
        assert_eq!(errors.ratio(at(0)), Some(0.75));
        errors.add(0, 20, at(10));
        assert_eq!(errors.ratio(at(59)), Some(0.5));
        assert_eq!(errors.ratio(at(60)), Some(0.0));
        assert_eq!((errors.ratio(at(70)), errors.samples(at(70))), (None, 0));
    }
}
