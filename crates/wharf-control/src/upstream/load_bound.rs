//! [`LoadBound`]: how much more than its part an endpoint may hold.

use crate::rounding::ceil;

/// The factor of consistent hashing with bounded loads: 1.25 by default, Envoy and `HAProxy` advise 1.2 to 2.
///
/// Nearer to one, loads are more equal and more keys go elsewhere; at 1.25 and an even spread of keys
/// few do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadBound(f64);

impl LoadBound {
    /// The bound of this factor, at least 1: under it there would not be room for everything.
    pub fn new(factor: f64) -> Self {
        Self(factor.max(1.0))
    }

    /// The most that an endpoint may hold, counting a request that is on the point of being added, if
    /// all together hold `total` without it: `ceil(factor · (total + 1) · share)`.
    pub fn most(self, total: u32, share: f64) -> u32 {
        ceil(self.0 * (f64::from(total) + 1.0) * share)
    }
}

impl Default for LoadBound {
    fn default() -> Self {
        Self(1.25)
    }
}

#[cfg(test)]
mod tests {
    use super::LoadBound;

    #[test]
    fn a_quarter_more_than_its_part_rounded_up() {
        let bound = LoadBound::default();
        assert_eq!(bound.most(0, 0.1), 1);
        assert_eq!(bound.most(79, 0.1), 10);
        assert_eq!(bound.most(80, 0.1), 11);
        assert_eq!(LoadBound::new(0.5).most(99, 0.1), 10);
        assert_eq!(LoadBound::new(f64::NAN).most(99, 0.1), 10);
    }
}
