//! From the real numbers of a law to the whole ones of connections and requests.

/// The least whole number that is not under `value`: zero for what is under zero or not a number,
/// [`u32::MAX`] for what is too great.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float converts to the nearest whole number that there is, which is what is promised"
)]
pub(crate) fn ceil(value: f64) -> u32 {
    // What is a whole number but for rounding errors is meant as that: 1.1 · 10 is 11.
    const NOISE: f64 = 1e-9;
    (value - NOISE).ceil() as u32
}

/// The greatest whole number that is not over `value`, bounded as [`ceil`] is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float converts to the nearest whole number that there is, which is what is promised"
)]
pub(crate) fn floor(value: f64) -> u32 {
    value.floor() as u32
}

#[cfg(test)]
mod tests {
    use super::{ceil, floor};

    #[test]
    fn rounding_errors_make_no_connection() {
        assert_eq!(ceil(1.1 * 10.0), 11);
        assert_eq!((ceil(10.1), floor(10.9)), (11, 10));
    }

    #[test]
    fn what_is_no_count_becomes_the_nearest_that_is() {
        assert_eq!((ceil(-3.0), ceil(f64::NAN), ceil(1e300)), (0, 0, u32::MAX));
        assert_eq!((floor(-3.0), floor(f64::INFINITY)), (0, u32::MAX));
    }
}
