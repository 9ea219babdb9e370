//! [`Origin`]: where a request came from, as upstreams are told.

use std::fmt::Write;
use std::net::IpAddr;

use axum::body::Bytes;
use http::header::{Entry, FORWARDED, HeaderMap, HeaderName, HeaderValue, VIA};
use http::{StatusCode, Version};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The name that wharf has in `Via`.
const PSEUDONYM: &str = "wharf";

/// The length of most elements of `Forwarded`.
const ELEMENT: usize = 80;

/// How often a request may have passed a wharf before: more is a circle of them.
const MOST_PASSES: usize = 8;

/// How a listener is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Where a request came from: facts of the connection, and nothing that the request says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// The peer: the one that a trusted proxy announced, else the socket's.
    pub(super) peer: IpAddr,
    pub(super) scheme: Scheme,
}

impl Origin {
    /// Tells an upstream. What others in front of us have said stays, before our own word: it is for the
    /// upstream to know how many of them it trusts.
    pub(super) fn tell(self, fields: &mut HeaderMap, host: Option<&HeaderValue>) {
        let peer = self.peer.to_canonical();
        fields.insert(
            X_FORWARDED_PROTO,
            HeaderValue::from_static(self.scheme.as_str()),
        );
        match host {
            Some(host) => drop(fields.insert(X_FORWARDED_HOST, host.clone())),
            None => drop(fields.remove(X_FORWARDED_HOST)),
        }
        let (before, after) = if peer.is_ipv4() {
            ("for=", "")
        } else {
            ("for=\"[", "]\"")
        };
        let mut element = String::with_capacity(ELEMENT);
        element.push_str(before);
        push_address(&mut element, peer);
        let address = before.len()..element.len();
        element.push_str(after);
        if let Some(host) = host
            .and_then(|host| host.to_str().ok())
            .filter(|it| is_quotable(it))
        {
            element.push_str(";host=\"");
            element.push_str(host);
            element.push('"');
        }
        element.push_str(";proto=");
        element.push_str(self.scheme.as_str());
        // One buffer for both: the address stands in the element.
        let element = Bytes::from(element);
        let address = element.slice(address);
        // One address and no list: who came before us is in the others, and what a client says of itself in none.
        if let Ok(address) = HeaderValue::from_maybe_shared(address.clone()) {
            fields.insert(X_REAL_IP, address);
        }
        append(fields, X_FORWARDED_FOR, address);
        append(fields, FORWARDED, element);
    }
}

/// As `Display` writes it, which takes ten times as long for the usual ones.
fn push_address(text: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (nth, octet) in address.octets().into_iter().enumerate() {
                if nth > 0 {
                    text.push('.');
                }
                for unit in [100, 10, 1] {
                    if octet >= unit || unit == 1 {
                        text.push(char::from(b'0' + octet / unit % 10));
                    }
                }
            }
        }
        // Writing to a string cannot fail.
        IpAddr::V6(address) => drop(write!(text, "{address}")),
    }
}

/// Adds wharf to those that a message has passed (RFC 9110 7.6.3).
pub(super) fn pass(fields: &mut HeaderMap, received: Version) {
    let passage = if received == Version::HTTP_2 {
        "2 wharf"
    } else if received == Version::HTTP_10 {
        "1.0 wharf"
    } else {
        "1.1 wharf"
    };
    append(fields, VIA, Bytes::from_static(passage.as_bytes()));
}

/// # Errors
///
/// The request goes round in a circle.
pub(super) fn check_passes(fields: &HeaderMap) -> Result<(), StatusCode> {
    let lists = fields.get_all(VIA).iter();
    let members = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    let own = |member: &&[u8]| {
        let mut words = member
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        words.nth(1) == Some(PSEUDONYM.as_bytes())
    };
    if members.filter(own).count() > MOST_PASSES {
        return Err(StatusCode::LOOP_DETECTED);
    }
    Ok(())
}

/// Puts `element` behind a list, in one field: some readers look at the first field only, some at the last.
fn append(fields: &mut HeaderMap, name: HeaderName, element: Bytes) {
    // The one way in which this fails is that there are too many fields; there were as many before.
    let Ok(place) = fields.try_entry(name) else {
        return;
    };
    // Values are made of what values have and of our own.
    match place {
        Entry::Vacant(place) => {
            if let Ok(value) = HeaderValue::from_maybe_shared(element) {
                place.insert(value);
            }
        }
        Entry::Occupied(mut place) => {
            if let Ok(value) = HeaderValue::from_maybe_shared(behind(place.iter(), &element)) {
                place.insert(value);
            }
        }
    }
}

/// A list of what all of `before` say, with `element` at its end.
fn behind<'a>(before: impl Iterator<Item = &'a HeaderValue>, element: &[u8]) -> Bytes {
    let mut list = Vec::new();
    for value in before {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    if !is_closed(&list) {
        // Our element would be inside a quoted string of the client's.
        list.clear();
    }
    list.extend_from_slice(element);
    list.into()
}

/// Whether every quoted string in a list comes to its end (RFC 9110 5.6.4).
fn is_closed(list: &[u8]) -> bool {
    let mut bytes = list.iter();
    let mut quoted = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => drop(bytes.next()),
            _ => {}
        }
    }
    !quoted
}

/// Whether it can stand between quotation marks as it is.
fn is_quotable(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(peer: &str, scheme: Scheme, host: &str, before: &[(&str, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in before {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            fields.append(name, value.parse().unwrap());
        }
        let host = HeaderValue::from_str(host).unwrap();
        let origin = Origin {
            peer: peer.parse().unwrap(),
            scheme,
        };
        origin.tell(&mut fields, Some(&host).filter(|it| !it.is_empty()));
        fields
    }

    #[test]
    fn an_upstream_is_told_peer_scheme_and_host() {
        let fields = told("192.0.2.7", Scheme::Https, "a.example:8443", &[]);
        assert_eq!(fields["x-forwarded-for"], "192.0.2.7");
        assert_eq!(fields["x-real-ip"], "192.0.2.7");
        assert_eq!(fields["x-forwarded-proto"], "https");
        assert_eq!(fields["x-forwarded-host"], "a.example:8443");
        let expected = "for=192.0.2.7;host=\"a.example:8443\";proto=https";
        assert_eq!(fields["forwarded"], expected);
    }

    #[test]
    fn addresses_of_ipv6_stand_in_brackets_where_the_rfc_wants_it() {
        let fields = told("2001:db8::1", Scheme::Http, "", &[]);
        assert_eq!(fields["x-forwarded-for"], "2001:db8::1");
        assert_eq!(fields["forwarded"], "for=\"[2001:db8::1]\";proto=http");
        let mapped = told("::ffff:192.0.2.7", Scheme::Http, "", &[]);
        assert_eq!(mapped["x-forwarded-for"], "192.0.2.7");
    }

    #[test]
    fn every_octet_is_written_as_it_is_always_written() {
        for octet in 0..=u8::MAX {
            let address = IpAddr::from([octet, 255 - octet, 10, octet]);
            let mut text = String::new();
            push_address(&mut text, address);
            assert_eq!(text, address.to_string());
        }
    }

    #[test]
    fn what_others_have_said_stands_before_in_the_same_field() {
        let before = [
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2, 10.0.0.3"),
            ("forwarded", "for=10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("x-real-ip", "10.0.0.1"),
            ("x-real-ip", "10.0.0.2"),
        ];
        let fields = told("192.0.2.7", Scheme::Http, "a", &before);
        let list = "10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.7";
        assert_eq!(fields["x-forwarded-for"], list);
        assert_eq!(fields.get_all("x-forwarded-for").iter().count(), 1);
        assert_eq!(fields["x-real-ip"], "192.0.2.7");
        assert_eq!(fields.get_all("x-real-ip").iter().count(), 1);
        let expected = "for=10.0.0.1, for=192.0.2.7;host=\"a\";proto=http";
        assert_eq!(fields["forwarded"], expected);
        assert_eq!(fields["x-forwarded-proto"], "http");
        assert_eq!(fields["x-forwarded-host"], "a");
    }

    #[test]
    fn a_list_with_an_open_quote_does_not_swallow_our_element() {
        for before in [r#"for=9.9.9.9;by=""#, r#"for="a\""#, r#"for="a", by="\""#] {
            let fields = told("192.0.2.7", Scheme::Http, "", &[("forwarded", before)]);
            assert_eq!(fields["forwarded"], "for=192.0.2.7;proto=http", "{before}");
        }
        let closed = r#"for="[2001:db8::1]";by="a\"b""#;
        let fields = told("192.0.2.7", Scheme::Http, "", &[("forwarded", closed)]);
        let after = format!("{closed}, for=192.0.2.7;proto=http");
        assert_eq!(fields["forwarded"], after.as_str());
    }

    #[test]
    fn a_host_that_cannot_be_quoted_is_not_told_in_forwarded() {
        let fields = told("192.0.2.7", Scheme::Http, "a\"b", &[]);
        assert_eq!(fields["forwarded"], "for=192.0.2.7;proto=http");
    }

    #[test]
    fn via_names_the_version_that_was_received() {
        let mut fields = HeaderMap::new();
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            pass(&mut fields, version);
        }
        assert_eq!(fields["via"], "1.0 wharf, 1.1 wharf, 2 wharf");
    }

    #[test]
    fn a_request_that_has_passed_many_of_us_goes_round_in_a_circle() {
        let mut fields = HeaderMap::new();
        fields.insert(
            "via",
            "1.1 other, HTTP/1.1 wharfs, 1.1 a.wharf (wharf)"
                .parse()
                .unwrap(),
        );
        for _ in 0..=MOST_PASSES {
            assert!(check_passes(&fields).is_ok());
            pass(&mut fields, Version::HTTP_2);
        }
        assert_eq!(check_passes(&fields), Err(StatusCode::LOOP_DETECTED));
    }
}
