//! The path that an upstream is asked for.

use http::uri::PathAndQuery;

/// What becomes of the route's own path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// It stays.
    Keep,
    /// This is in its place; `/` takes it away.
    Replace(String),
}

impl Rewrite {
    /// The target of a request below `prefix`; `None` if the result is no target.
    pub(super) fn apply(&self, asked: &PathAndQuery, prefix: &str) -> Option<PathAndQuery> {
        let Self::Replace(with) = self else {
            return Some(asked.clone());
        };
        let rest = asked.path().strip_prefix(prefix)?;
        // One slash between the two, and one at the beginning.
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        let with = with.strip_suffix('/').unwrap_or(with);
        let between = if rest.is_empty() && !with.is_empty() && !asked.path().ends_with('/') {
            ""
        } else {
            "/"
        };
        let mut target = format!("{with}{between}{rest}");
        if let Some(query) = asked.query() {
            target.push('?');
            target.push_str(query);
        }
        target.try_into().ok()
    }
}

/// Whether a path has `.` or `..` among its segments, written plainly or encoded: a server behind us would
/// leave the place that the route was chosen for (RFC 3986 5.2.4 asks clients to resolve them).
///
/// A slash may be encoded too, or be a backslash, and what follows a semicolon is left out: some servers
/// read paths so.
pub(super) fn is_ambiguous(path: &str) -> bool {
    let mut segment = Segment::Empty;
    let mut bytes = path.as_bytes();
    while let Some((byte, rest)) = decoded(bytes) {
        bytes = rest;
        segment = match (byte, segment) {
            (b'/' | b'\\', ended) if ended.is_dots() => return true,
            (b'/' | b'\\', _) => Segment::Empty,
            (b';', Segment::Dots(n)) | (_, Segment::Over(n)) => Segment::Over(n),
            (b'.', Segment::Empty) => Segment::Dots(1),
            (b'.', Segment::Dots(n)) => Segment::Dots(n.saturating_add(1)),
            _ => Segment::Other,
        };
    }
    segment.is_dots()
}

/// What a segment is, as far as it was read.
#[derive(Clone, Copy)]
enum Segment {
    Empty,
    /// So many dots and nothing else.
    Dots(u8),
    /// The same before a semicolon.
    Over(u8),
    Other,
}

impl Segment {
    fn is_dots(self) -> bool {
        matches!(self, Self::Dots(1 | 2) | Self::Over(1 | 2))
    }
}

/// The next byte, decoded, and those behind it.
fn decoded(bytes: &[u8]) -> Option<(u8, &[u8])> {
    if let [b'%', high, low, rest @ ..] = bytes
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        return Some((high << 4 | low, rest));
    }
    bytes.split_first().map(|(byte, rest)| (*byte, rest))
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(asked: &str, prefix: &str, with: &str) -> String {
        let rewrite = Rewrite::Replace(with.to_owned());
        rewrite
            .apply(&asked.parse().unwrap(), prefix)
            .unwrap()
            .to_string()
    }

    #[test]
    fn a_prefix_is_replaced_and_exactly_one_slash_stands_between() {
        for (asked, prefix, with, expected) in [
            ("/api/x", "/api", "/", "/x"),
            ("/api/x", "/api/", "/", "/x"),
            ("/api", "/api", "/", "/"),
            ("/api/", "/api", "/", "/"),
            ("/api/", "/api/", "/", "/"),
            ("/api?a=b", "/api", "/", "/?a=b"),
            ("/api/x?a=b", "/api", "/v1", "/v1/x?a=b"),
            ("/api/x", "/api/", "/v1/", "/v1/x"),
            ("/api", "/api", "/v1", "/v1"),
            ("/api/", "/api", "/v1", "/v1/"),
            ("/x", "/", "/v1", "/v1/x"),
            ("/", "/", "/v1", "/v1/"),
            ("/api//x", "/api", "/", "//x"),
            ("/api/a%2Fb?c#d", "/api", "/", "/a%2Fb?c"),
        ] {
            assert_eq!(
                rewritten(asked, prefix, with),
                expected,
                "{asked} {prefix} {with}"
            );
        }
    }

    #[test]
    fn without_a_rewrite_the_target_stays_as_it_is() {
        let asked: PathAndQuery = "/api/x%2e?y".parse().unwrap();
        assert_eq!(Rewrite::Keep.apply(&asked, "/api"), Some(asked));
    }

    #[test]
    fn dot_segments_are_seen_however_they_are_written() {
        for path in [
            "/..",
            "/.",
            "/../a",
            "/a/..",
            "/a/../b",
            "/a/./b",
            "/a/%2e%2e/b",
            "/a/%2E./b",
            "/a/.%2e",
            "/a%2f..%2fb",
            "/a\\..\\b",
            "/a%5c..%5Cb",
            "/a/..;/b",
            "/a/..;x=y/b",
            "/a/..;",
            "/a/.;/b",
            "/%2e",
            "..",
        ] {
            assert!(is_ambiguous(path), "{path}");
        }
        for path in [
            "/",
            "/a",
            "/a.b",
            "/.well-known/x",
            "/...",
            "/a/..b/c",
            "/a..",
            "/..a",
            "/a/b;..",
            "/%2ea",
            "/%zz/..a",
            "/%",
            "/a;/b",
            "//",
            "/a/.../b",
            "/%252e%252e/",
        ] {
            assert!(!is_ambiguous(path), "{path}");
        }
    }
}
