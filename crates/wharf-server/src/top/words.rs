//! Figures and foreign text as a terminal shows them.

use std::fmt::Write;

use crate::log::Escaped;

/// A count: 15,000.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A rate: one decimal while it is small.
pub(super) fn rate(n: f64) -> String {
    if n > 0.0 && n < 100.0 {
        format!("{n:.1}")
    } else {
        count(whole(n))
    }
}

/// A short time: three digits and a unit.
pub(super) fn ms(n: f64) -> String {
    match n {
        n if n <= 0.0 => "–".to_owned(),
        n if n < 1.0 => format!("{n:.2} ms"),
        n if n < 10.0 => format!("{n:.1} ms"),
        n if n < 1000.0 => format!("{n:.0} ms"),
        n => format!("{:.1} s", n / 1000.0),
    }
}

/// A long time: its two largest units.
pub(super) fn time(ms: f64) -> String {
    let s = whole(ms) / 1000;
    match s {
        0 => format!("{ms:.0} ms"),
        1..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {:02} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// An amount: 1.2 MiB.
pub(super) fn bytes(n: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut n, mut unit) = (n, 0);
    while n >= 1024.0 && unit < UNITS.len() - 1 {
        n /= 1024.0;
        unit += 1;
    }
    if unit == 0 || n >= 100.0 {
        format!("{n:.0} {}", UNITS[unit])
    } else {
        format!("{n:.1} {}", UNITS[unit])
    }
}

/// What a peer sent: nothing in it steers a terminal.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    // Writing to a string does not fail.
    let _ = Escaped::into(&mut shown).write_str(text);
    shown
}

/// As far as a count can follow; nothing of what is no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a float stays within the bounds, and what is shown is never negative"
)]
pub(super) fn whole(n: f64) -> u64 {
    n.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_their_unit() {
        assert_eq!(
            [0, 999, 1000, 15_000, 1_234_567].map(count),
            ["0", "999", "1,000", "15,000", "1,234,567"]
        );
        assert_eq!(
            [0.0, 0.25, 99.0, 1234.5].map(rate),
            ["0", "0.2", "99.0", "1,235"]
        );
        assert_eq!(
            [0.0, 0.018, 3.24, 310.0, 2500.0].map(ms),
            ["–", "0.02 ms", "3.2 ms", "310 ms", "2.5 s"]
        );
        assert_eq!(
            [12.0, 5000.0, 65_000.0, 7_500_000.0].map(time),
            ["12 ms", "5 s", "1 min 05 s", "2 h 05 min"]
        );
        assert_eq!(
            [0.0, 1536.0, 157_286_400.0].map(bytes),
            ["0 B", "1.5 KiB", "150 MiB"]
        );
    }

    #[test]
    fn what_a_peer_sent_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2J\u{202e}b"), r"a\u001b[2J\u202eb");
        assert!(plain(&"x".repeat(65_536)).len() < 1100);
    }
}
