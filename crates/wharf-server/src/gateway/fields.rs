//! Which fields go on, and which end here.

use http::HeaderMap;
use http::header::{CONNECTION, HOST, HeaderName};

/// Fields that wharf writes itself. CGI makes `_` of `-`, and `HTTP_PROXY` of `Proxy`, which programs take
/// for a setting: what only there becomes one of these is none of a client's business either.
const OURS: [&str; 9] = [
    "content-length",
    "forwarded",
    "host",
    "proxy",
    "transfer-encoding",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// What begins the names of wharf's own fields.
const OWN: &str = "x-wharf-";

/// Takes away what is about the connection that the fields came on, and wharf's own names.
pub(super) fn end_here(fields: &mut HeaderMap) {
    if fields.contains_key(CONNECTION) {
        for name in named_by_connection(fields) {
            fields.remove(name);
        }
    }
    remove(fields, |name| is_of_one_connection(name) || is_own(name));
}

/// Takes away what an upstream that speaks CGI would take for a field of wharf's.
pub(super) fn end_impostors(fields: &mut HeaderMap) {
    remove(fields, is_impostor);
}

/// Takes away what no trailer may say (RFC 9110 6.5.1): framing, routing, who asks, what is asked for, what the body is;
/// wharf's own, and what only wharf says. A server that puts trailers among the fields of the head would believe them, though
/// that was checked without them.
pub(super) fn end_in_trailers(trailers: &mut HeaderMap) {
    end_here(trailers);
    remove(trailers, |name| is_of_the_head(name) || is_impostor(name));
}

/// Whether an operator may set or remove the field by the name of `[[route]]`'s keys: not what the codecs
/// say, or what ends here.
pub(crate) fn is_free(name: &HeaderName) -> bool {
    !is_of_one_connection(name) && *name != HOST && !is_own(name)
}

/// Looked for in one pass: to ask the map for each such name costs a hash of it, of every message.
fn remove(fields: &mut HeaderMap, ends: impl Fn(&HeaderName) -> bool) {
    // Mostly none: nothing is allocated then.
    let ended: Vec<_> = fields.keys().filter(|name| ends(name)).cloned().collect();
    for name in ended {
        fields.remove(name);
    }
}

/// Whether a field is about one connection (RFC 9110 7.6.1), or about how a body is framed on it, which
/// each side's codec says anew from the body itself.
fn is_of_one_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "content-length"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a field means something before the body, and so nothing behind it.
fn is_of_the_head(name: &HeaderName) -> bool {
    let name = name.as_str();
    OURS.contains(&name)
        || name.starts_with("if-")
        || matches!(
            name,
            "age"
                | "authorization"
                | "cache-control"
                | "content-encoding"
                | "content-range"
                | "content-type"
                | "cookie"
                | "date"
                | "expires"
                | "location"
                | "max-forwards"
                | "pragma"
                | "range"
                | "retry-after"
                | "set-cookie"
                | "trailer"
                | "vary"
                | "via"
                | "warning"
                | "www-authenticate"
        )
}

/// Host stays: it is the target, and not about the connection, whatever is said of it.
fn named_by_connection(fields: &HeaderMap) -> Vec<HeaderName> {
    let lists = fields.get_all(CONNECTION).iter();
    let words = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    let names = words.filter_map(|word| HeaderName::from_bytes(word.trim_ascii()).ok());
    names.filter(|name| *name != HOST).collect()
}

fn is_own(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    name.len() >= OWN.len() && is_same_in_cgi(&name[..OWN.len()], OWN)
}

fn is_impostor(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == "proxy"
        || name.contains('_')
            && OURS
                .iter()
                .any(|ours| is_same_in_cgi(name.as_bytes(), ours))
}

/// Names are in lower case already.
fn is_same_in_cgi(name: &[u8], ours: &str) -> bool {
    let dashed = |byte: &u8| if *byte == b'_' { b'-' } else { *byte };
    name.iter().map(dashed).eq(ours.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in list {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            fields.append(name, value.parse().unwrap());
        }
        fields
    }

    fn left(list: &[(&str, &str)], end: impl Fn(&mut HeaderMap)) -> Vec<String> {
        let mut fields = fields(list);
        end(&mut fields);
        let mut names: Vec<_> = fields.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_about_a_connection_ends_with_it() {
        let list = [
            ("connection", "close, x-named , Foo"),
            ("connection", "bar"),
            ("x-named", "1"),
            ("foo", "1"),
            ("bar", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("proxy-authenticate", "Basic"),
            ("te", "trailers, deflate"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
            ("trailer", "grpc-status"),
        ];
        assert_eq!(left(&list, end_here), ["accept", "trailer"]);
    }

    #[test]
    fn what_connection_names_cannot_take_the_target_away() {
        let list = [
            ("connection", "host, content-length, transfer-encoding, ,é"),
            ("host", "a"),
        ];
        assert_eq!(left(&list, end_here), ["host"]);
    }

    #[test]
    fn own_names_end_here_however_they_are_written() {
        let list = [
            ("x-wharf-reason", "1"),
            ("X-Wharf-Admin", "1"),
            ("x_wharf_reason", "1"),
            ("x-wharf_any", "1"),
            ("x-wharfs", "1"),
            ("x-wharf", "1"),
        ];
        assert_eq!(left(&list, end_here), ["x-wharf", "x-wharfs"]);
    }

    #[test]
    fn what_cgi_takes_for_a_field_of_ours_ends_here() {
        let list = [
            ("proxy", "http://evil"),
            ("x_forwarded_for", "1"),
            ("x-forwarded_proto", "1"),
            ("x_real_ip", "1"),
            ("content_length", "1"),
            ("transfer_encoding", "1"),
            ("x-forwarded-for", "1.1.1.1"),
            ("my_own", "1"),
            ("proxy-status", "1"),
        ];
        let expected = ["my_own", "proxy-status", "x-forwarded-for"];
        assert_eq!(left(&list, end_impostors), expected);
    }

    #[test]
    fn a_trailer_says_nothing_of_framing_or_target() {
        let list = [
            ("grpc-status", "0"),
            ("content-length", "1"),
            ("host", "b"),
            ("x-wharf-a", "1"),
            ("authorization", "Basic x"),
            ("cookie", "admin=1"),
            ("content-type", "text/html"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x_forwarded_for", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1"),
            ("via", "1.1 a"),
            ("if-none-match", "x"),
            ("trailer", "checksum"),
            ("checksum", "1"),
            ("etag", "x"),
        ];
        let expected = ["checksum", "etag", "grpc-status"];
        assert_eq!(left(&list, end_in_trailers), expected);
    }

    #[test]
    fn operators_may_set_what_goes_on() {
        let free = |name: &str| is_free(&name.parse().unwrap());
        assert!(free("x-request-from") && free("authorization") && free("x-forwarded-port"));
        for taken in [
            "connection",
            "content-length",
            "te",
            "host",
            "x-wharf-reason",
            "upgrade",
        ] {
            assert!(!free(taken), "{taken}");
        }
    }
}
