//! [`TraceContext`]: where a request stands in its trace (W3C Trace Context).

use std::fmt::Write;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Share;

/// The field that carries it.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The field for what others have to say of it.
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 0b01;

/// The flags that have a meaning; the second says that the trace's name is a random number.
const KNOWN: u8 = 0b11;

/// How long a `tracestate` is at most that goes into a span; others must carry that much (3.3.1.5).
const LONGEST_STATE: usize = 512;

/// Where a request stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceContext {
    /// The trace.
    pub(super) trace: [u8; 16],
    /// The span that whatever follows has as its parent.
    pub(super) span: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// The one in the fields of a request. One that is malformed, or there twice, is none.
    pub(super) fn of(fields: &HeaderMap) -> Option<Self> {
        let mut all = fields.get_all(TRACEPARENT).iter();
        let (first, None) = (all.next()?, all.next()) else {
            return None;
        };
        Self::parse(first.as_bytes())
    }

    /// The beginning of a trace, recorded if it is in `share` of all.
    pub(super) fn root(trace: [u8; 16], span: [u8; 8], share: Share) -> Self {
        let flags = if is_in(trace, share) {
            KNOWN
        } else {
            KNOWN & !SAMPLED
        };
        Self { trace, span, flags }
    }

    /// The same trace, further down.
    pub(super) const fn child(self, span: [u8; 8]) -> Self {
        Self { span, ..self }
    }

    /// Whether the trace is recorded.
    pub(super) const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags, as they are sent.
    pub(super) const fn flags(self) -> u8 {
        self.flags
    }

    /// The field's value.
    pub(super) fn render(self) -> Option<HeaderValue> {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        write_hex(&mut text, &self.trace);
        text.push('-');
        write_hex(&mut text, &self.span);
        text.push('-');
        write_hex(&mut text, &[self.flags]);
        HeaderValue::try_from(text).ok()
    }

    /// `version-trace-span-flags` (3.2); a later version may say more behind that (4.3).
    fn parse(text: &[u8]) -> Option<Self> {
        let (known, more) = text.split_at_checked(55)?;
        let [version] = hex(&known[..2])?;
        let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        let ends = more.is_empty() || (version > 0 && more[0] == b'-');
        if version == 0xff || !dashes || !ends {
            return None;
        }
        let (trace, span) = (hex(&known[3..35])?, hex(&known[36..52])?);
        let [flags] = hex(&known[53..])?;
        let there = trace != [0; 16] && span != [0; 8];
        let flags = flags & KNOWN;
        there.then_some(Self { trace, span, flags })
    }
}

/// What others have to say of a trace, if it fits into a span.
pub(super) fn state_of(fields: &HeaderMap) -> String {
    let mut state = String::new();
    for part in fields.get_all(TRACESTATE) {
        let Ok(part) = part.to_str() else {
            return String::new();
        };
        if state.len() + part.len() >= LONGEST_STATE {
            return String::new();
        }
        if !state.is_empty() {
            state.push(',');
        }
        state.push_str(part);
    }
    state
}

/// Whether a trace is in a share of all: by its name, so that whoever asks for the same share chooses the same.
fn is_in(trace: [u8; 16], share: Share) -> bool {
    let random = u128::from_be_bytes(trace) & ((1 << 56) - 1);
    let left_out = u128::from(Share::WHOLE - share.0) << 56;
    random * u128::from(Share::WHOLE) >= left_out
}

fn write_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
}

/// Lower case only (3.2.1).
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    (pairs.len() == N).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wharf_pool::config::{Setting, Value};

    use super::*;

    const HONEST: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn share(text: &str) -> Share {
        Share::read(&Value::text(text)).unwrap()
    }

    #[test]
    fn an_honest_parent_is_read_and_written_alike() {
        let parent = TraceContext::parse(HONEST.as_bytes()).unwrap();
        assert!(parent.is_sampled());
        assert_eq!(parent.render().unwrap(), HONEST);
        let unsampled = HONEST.replace("-01", "-00");
        assert!(
            !TraceContext::parse(unsampled.as_bytes())
                .unwrap()
                .is_sampled()
        );
    }

    #[test]
    fn a_later_version_may_say_more_and_this_one_may_not() {
        let later = HONEST.replace("00-4b", "cc-4b");
        assert!(TraceContext::parse(later.as_bytes()).is_some());
        assert!(TraceContext::parse(format!("{later}-more").as_bytes()).is_some());
        assert!(TraceContext::parse(format!("{later}.more").as_bytes()).is_none());
        assert!(TraceContext::parse(format!("{HONEST}-more").as_bytes()).is_none());
    }

    #[test]
    fn what_is_malformed_is_none() {
        for wrong in [
            String::new(),
            "00".to_owned(),
            HONEST.to_uppercase(),
            HONEST.replace("00-4b", "ff-4b"),
            HONEST.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            HONEST.replace("00f067aa0ba902b7", &"0".repeat(16)),
            HONEST.replace("-01", "_01"),
            HONEST.replace("4bf9", "4bg9"),
            "\u{e9}".repeat(40),
            "0".repeat(1 << 16),
        ] {
            assert_eq!(TraceContext::parse(wrong.as_bytes()), None, "{wrong}");
        }
        let mut twice = HeaderMap::new();
        twice.append(TRACEPARENT, HeaderValue::from_static(HONEST));
        assert!(TraceContext::of(&twice).is_some());
        twice.append(TRACEPARENT, HeaderValue::from_static(HONEST));
        assert_eq!(TraceContext::of(&twice), None);
    }

    #[test]
    fn a_state_that_is_too_long_is_left_out() {
        let mut fields = HeaderMap::new();
        fields.append(TRACESTATE, HeaderValue::from_static("a=1"));
        fields.append(TRACESTATE, HeaderValue::from_static("b=2"));
        assert_eq!(state_of(&fields), "a=1,b=2");
        fields.append(TRACESTATE, HeaderValue::try_from("c".repeat(512)).unwrap());
        assert_eq!(state_of(&fields), "");
    }

    #[test]
    fn a_share_is_kept_to_and_the_larger_contains_the_smaller() {
        let mut chosen = [0_u32; 2];
        for n in 0..10_000_u64 {
            let mut trace = [7; 16];
            let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            trace[8..].copy_from_slice(&spread.to_be_bytes());
            let (some, more) = (is_in(trace, share("10%")), is_in(trace, share("20%")));
            assert!(!some || more);
            assert!(is_in(trace, share("100%")) && !is_in(trace, share("0%")));
            chosen[0] += u32::from(some);
            chosen[1] += u32::from(more);
        }
        assert!(chosen[0].abs_diff(1000) < 100 && chosen[1].abs_diff(2000) < 100);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_as_something_that_reads_the_same(
            text in proptest::collection::vec(any::<u8>(), 0..80),
            trace: [u8; 16], span: [u8; 8], flags: u8, version: u8,
        ) {
            let mut known = format!("{version:02x}-");
            write_hex(&mut known, &trace);
            known.push('-');
            write_hex(&mut known, &span);
            known.push('-');
            write_hex(&mut known, &[flags]);
            for text in [text.as_slice(), known.as_bytes()] {
                if let Some(read) = TraceContext::parse(text) {
                    let written = read.render().unwrap();
                    prop_assert_eq!(TraceContext::parse(written.as_bytes()), Some(read));
                }
            }
        }
    }
}
