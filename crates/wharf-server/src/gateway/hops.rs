//! How many gateways a request may still pass (RFC 9110 7.6.2).

use http::Method;
use http::header::{HeaderMap, HeaderValue, MAX_FORWARDS};

/// Who is to answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hop {
    /// Somebody further on.
    Next,
    /// This gateway.
    Last,
}

/// Takes one from the number of gateways that a request may still pass. Only OPTIONS and TRACE have one, and TRACE goes
/// nowhere. What is no number says nothing, and goes on as it is.
pub(super) fn hop(method: &Method, fields: &mut HeaderMap) -> Hop {
    if *method != Method::OPTIONS {
        return Hop::Next;
    }
    let mut said = fields.get_all(MAX_FORWARDS).iter();
    let (Some(said), None) = (said.next(), said.next()) else {
        return Hop::Next;
    };
    let digits = said.as_bytes();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Hop::Next;
    }
    // More than there is a number for is as many as there is one for.
    let left = said.to_str().ok().and_then(|it| it.parse().ok());
    let Some(left) = left.unwrap_or(u32::MAX).checked_sub(1) else {
        return Hop::Last;
    };
    fields.insert(MAX_FORWARDS, HeaderValue::from(left));
    Hop::Next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(method: &Method, said: &[&str]) -> (Hop, Vec<String>) {
        let mut fields = HeaderMap::new();
        for said in said {
            fields.append(MAX_FORWARDS, said.parse().unwrap());
        }
        let hop = hop(method, &mut fields);
        let left = fields.get_all(MAX_FORWARDS).iter();
        (
            hop,
            left.map(|it| it.to_str().unwrap().to_owned()).collect(),
        )
    }

    #[test]
    fn each_gateway_takes_one_and_the_last_answers() {
        let options = |said: &str| passed(&Method::OPTIONS, &[said]);
        assert_eq!(options("5"), (Hop::Next, vec!["4".to_owned()]));
        assert_eq!(options("1"), (Hop::Next, vec!["0".to_owned()]));
        assert_eq!(options("0").0, Hop::Last);
        assert_eq!(options("000").0, Hop::Last);
        assert_eq!(options(&"9".repeat(30)).0, Hop::Next);
    }

    #[test]
    fn other_methods_and_what_is_no_number_go_on_unchanged() {
        for (method, said) in [
            (Method::GET, &["0"][..]),
            (Method::OPTIONS, &["-1"]),
            (Method::OPTIONS, &["+0"]),
            (Method::OPTIONS, &[""]),
            (Method::OPTIONS, &["0", "7"]),
            (Method::OPTIONS, &[]),
        ] {
            let (hop, left) = passed(&method, said);
            assert_eq!(
                (hop, left.iter().map(String::as_str).collect::<Vec<_>>()),
                (Hop::Next, said.to_vec())
            );
        }
    }
}
