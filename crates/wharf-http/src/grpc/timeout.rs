//! `grpc-timeout`: how long the caller waits.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header of a call that has a deadline.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A `grpc-timeout` that is not one: not 1 to 8 digits and one of `H`, `M`, `S`, `m`, `u`, `n`, or
/// there is more than one. Such a call is refused with
/// [`Code::InvalidArgument`](super::Code::InvalidArgument): to serve it without a deadline is not what
/// its caller means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed grpc-timeout")]
pub struct InvalidTimeout;

/// How long the caller of these headers waits; `None`: as long as it takes.
///
/// # Errors
///
/// [`InvalidTimeout`] if they say it in a form that the protocol does not know.
pub fn asked(fields: &HeaderMap) -> Result<Option<Duration>, InvalidTimeout> {
    let mut values = fields.get_all(GRPC_TIMEOUT).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => parse(value.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err(InvalidTimeout),
    }
}

/// How long a call may take as a whole: what its caller asked for, and never longer than `most`
/// (`max_call_duration`).
pub fn allowed(asked: Option<Duration>, most: Option<Duration>) -> Option<Duration> {
    match (asked, most) {
        (Some(asked), Some(most)) => Some(asked.min(most)),
        (asked, most) => asked.or(most),
    }
}

/// Reads the value of a `grpc-timeout`.
///
/// # Errors
///
/// [`InvalidTimeout`] if it is none.
pub fn parse(value: &[u8]) -> Result<Duration, InvalidTimeout> {
    let (unit, digits) = value.split_last().ok_or(InvalidTimeout)?;
    if !(1..=MOST_DIGITS).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(InvalidTimeout);
    }
    let number = digits
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Ok(Duration::from_hours(number)),
        b'M' => Ok(Duration::from_mins(number)),
        b'S' => Ok(Duration::from_secs(number)),
        b'm' => Ok(Duration::from_millis(number)),
        b'u' => Ok(Duration::from_micros(number)),
        b'n' => Ok(Duration::from_nanos(number)),
        _ => Err(InvalidTimeout),
    }
}

/// Writes a `grpc-timeout`, in the finest unit that has room for it. What does not come out even is
/// rounded up; what is longer than 99,999,999 hours is said to be that.
pub fn render(timeout: Duration) -> HeaderValue {
    let nanos = timeout.as_nanos();
    let text = UNITS
        .into_iter()
        .map(|(unit, size)| (nanos.div_ceil(size), unit))
        .find(|(number, _)| *number <= LARGEST)
        .map_or_else(
            || format!("{LARGEST}H"),
            |(number, unit)| format!("{number}{unit}"),
        );
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0n"))
}

const MOST_DIGITS: usize = 8;
const LARGEST: u128 = 99_999_999;

/// From the finest, with their size in nanoseconds.
const UNITS: [(char, u128); 6] = [
    ('n', 1),
    ('u', 1_000),
    ('m', 1_000_000),
    ('S', 1_000_000_000),
    ('M', 60_000_000_000),
    ('H', 3_600_000_000_000),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("1H", Duration::from_hours(1)),
            ("2M", Duration::from_mins(2)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("0n", Duration::ZERO),
            ("00000001S", Duration::from_secs(1)),
            ("99999999H", Duration::from_hours(99_999_999)),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nothing_else_is() {
        for text in [
            "",
            "S",
            "1",
            "123456789S",
            "000000001S",
            "-1S",
            "+1S",
            " 1S",
            "1S ",
            "1 S",
            "1.5S",
            "1s",
            "1h",
            "1ms",
            "1U",
            "1N",
            "0x1S",
            "1\u{1f}",
            "١S",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(InvalidTimeout), "{text:?}");
        }
    }

    #[test]
    fn two_timeouts_are_none() {
        let mut fields = HeaderMap::new();
        assert_eq!(asked(&fields), Ok(None));
        fields.append(GRPC_TIMEOUT, HeaderValue::from_static("1S"));
        assert_eq!(asked(&fields), Ok(Some(Duration::from_secs(1))));
        fields.append(GRPC_TIMEOUT, HeaderValue::from_static("1S"));
        assert_eq!(asked(&fields), Err(InvalidTimeout));
    }

    #[test]
    fn a_caller_may_shorten_the_longest_call_and_not_lengthen_it() {
        let [short, long] = [1, 2].map(|s| Some(Duration::from_secs(s)));
        assert_eq!(allowed(None, None), None);
        assert_eq!(allowed(short, None), short);
        assert_eq!(allowed(None, long), long);
        assert_eq!(allowed(short, long), short);
        assert_eq!(allowed(long, short), short);
    }

    #[test]
    fn the_finest_unit_with_room_is_written() {
        for (timeout, expected) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_nanos(100_000_001), "100001u"),
            (Duration::from_secs(30), "30000000u"),
            (Duration::from_hours(1), "3600000m"),
            (Duration::from_secs(200_000), "200000S"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(render(timeout), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_is_written_is_read_back_and_never_shorter(
            nanos in (any::<u64>(), 0..u64::BITS).prop_map(|(nanos, shift)| nanos >> shift),
        ) {
            let timeout = Duration::from_nanos(nanos);
            let read = parse(render(timeout).as_bytes()).unwrap();
            prop_assert!(read >= timeout);
            // The next unit is at most a thousand times as long, so five digits at least are kept: the
            // error is below one in the last of them.
            prop_assert!(read <= timeout + timeout / 100_000);
        }

        #[test]
        fn any_value_is_judged_by_its_shape(
            value in prop_oneof![
                "[0-9]{0,10}[HMSmun]{0,2}",
                "[0-9HMSmun +.-]{0,10}",
                prop::collection::vec(any::<u8>(), 0..12)
                    .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            ],
        ) {
            let digits = value.trim_end_matches(['H', 'M', 'S', 'm', 'u', 'n']);
            let is_timeout = value.len() == digits.len() + 1
                && (1..=8).contains(&digits.len())
                && digits.bytes().all(|it| it.is_ascii_digit());
            prop_assert_eq!(parse(value.as_bytes()).is_ok(), is_timeout);
        }
    }
}
