//! [`UtcTime`]: a date that somebody else read from a clock or a certificate.

use std::fmt;
use std::time::Duration;

const DAY: i64 = 24 * 60 * 60;

/// The first second of the year 9999: what X.509 and the arithmetic here still count.
const LATEST: i64 = 253_370_764_800;

/// A point in wall-clock time, in whole seconds. Shown as RFC 3339 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcTime(i64);

impl UtcTime {
    /// So many seconds after the beginning of 1970, or before it. Kept between the years 1 and 9999.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        const EARLIEST: i64 = -62_135_596_800;
        Self(seconds.clamp(EARLIEST, LATEST))
    }

    /// Seconds since the beginning of 1970.
    pub const fn as_unix_seconds(self) -> i64 {
        self.0
    }

    /// This time moved `by` into the future.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_secs()).unwrap_or(LATEST);
        Self::from_unix_seconds(self.0.saturating_add(by))
    }

    /// This time moved `by` into the past.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_secs()).unwrap_or(LATEST);
        Self::from_unix_seconds(self.0.saturating_sub(by))
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Year, month and day of so many days after the beginning of 1970, in the Gregorian calendar.
///
/// Counted in eras of 400 years that begin on the first of March, so that the leap day is the last
/// of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let days = days + 719_468;
    let era = days.div_euclid(ERA);
    let day_of_era = days.rem_euclid(ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_rfc_3339_has_them() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (i64::MAX, "9999-01-01T00:00:00Z"),
            (i64::MIN, "0001-01-01T00:00:00Z"),
        ];
        for (seconds, shown) in table {
            assert_eq!(UtcTime::from_unix_seconds(seconds).to_string(), shown);
        }
    }

    #[test]
    fn moving_a_time_stays_in_range() {
        let last = UtcTime::from_unix_seconds(i64::MAX);
        assert_eq!(last.after(Duration::MAX), last);
        let noon = UtcTime::from_unix_seconds(43_200);
        assert_eq!(noon.after(Duration::from_mins(1)).as_unix_seconds(), 43_260);
        assert_eq!(
            noon.before(Duration::from_mins(1)).as_unix_seconds(),
            43_140
        );
    }
}
