//! The authority of a request: what Host may say, and that it agrees with an absolute target.

use std::net::Ipv6Addr;

use super::octets::{HOST, find_other};

/// Whether `authority` is `host[:port]` (RFC 9112 3.2, RFC 3986 3.2.2) with a host that is not empty.
///
/// Stricter than the grammar: no percent-encoding (nobody resolves it the same way) and no comma (two
/// Host lines that somebody has joined). User information is not part of Host, so `@` is refused.
pub(super) fn is_valid(authority: &[u8]) -> bool {
    if let [b'[', ..] = authority {
        let (host, port) = split(authority);
        let [b'[', address @ .., b']'] = host else {
            return false;
        };
        let address = str::from_utf8(address).ok();
        return address.is_some_and(|it| it.parse::<Ipv6Addr>().is_ok()) && is_port(port);
    }
    match find_other(HOST, authority) {
        None => !authority.is_empty(),
        Some(end) => end > 0 && authority[end] == b':' && is_port(&authority[end + 1..]),
    }
}

/// Whether `port` is a number that a port can have, or is left out after its colon.
fn is_port(port: &[u8]) -> bool {
    if port.len() > 5 {
        return false;
    }
    let mut number = 0;
    for &byte in port {
        if !byte.is_ascii_digit() {
            return false;
        }
        number = number * 10 + u32::from(byte - b'0');
    }
    number <= 0xffff
}

/// An absolute target: its authority, and the port that its scheme implies.
pub(super) struct Absolute<'a> {
    pub(super) authority: &'a [u8],
    default_port: &'static [u8],
}

impl<'a> Absolute<'a> {
    /// Takes `target` apart if it begins with `http://` or `https://` (RFC 9112 3.2.2).
    pub(super) fn parse(target: &'a [u8]) -> Option<Self> {
        if let [b'/', ..] = target {
            return None;
        }
        let (rest, default_port) = if let Some(rest) = strip_scheme(target, b"http://") {
            (rest, &b"80"[..])
        } else {
            (strip_scheme(target, b"https://")?, &b"443"[..])
        };
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?'))
            .unwrap_or(rest.len());
        Some(Self {
            authority: &rest[..end],
            default_port,
        })
    }

    /// Whether `host` names the same authority: equal but for case, and for the default port of
    /// the target's scheme, which may be left out (RFC 9110 4.2.3).
    pub(super) fn is_same(&self, host: &[u8]) -> bool {
        let (our_host, our_port) = split(self.authority);
        let (their_host, their_port) = split(host);
        our_host.eq_ignore_ascii_case(their_host) && self.port(our_port) == self.port(their_port)
    }

    const fn port<'p>(&self, port: &'p [u8]) -> &'p [u8] {
        if port.is_empty() {
            self.default_port
        } else {
            port
        }
    }
}

/// The host, and the port without its colon; empty if there is none.
fn split(authority: &[u8]) -> (&[u8], &[u8]) {
    // In `[::1]` the last colon is not before a port.
    match authority
        .iter()
        .rposition(|byte| matches!(byte, b':' | b']'))
    {
        Some(at) if authority[at] == b':' => (&authority[..at], &authority[at + 1..]),
        _ => (authority, &[]),
    }
}

fn strip_scheme<'a>(target: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        let good = "a example.com EXAMPLE.com. a_b.c 127.0.0.1:80 [::1] [::1]:8080 [1:2:3:4:5:6:7::]:1 \
                    a:0 a:65535 a: x~!$&'()*+;=";
        for host in good.split(' ') {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
        let bad = [
            "", ":80", "a b", "a:b", "a:65536", "a:123456", "a:1:2", "a:-1", "a:+1", "::1", "[::1",
            "::1]",
        ];
        let more = [
            "[::1]x", "[]", "[a]", "a/b", "a?b", "u@a", "a%41", "a,b", "a\\b", "a\"", "\u{e9}",
        ];
        for host in bad.iter().chain(&more) {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn an_absolute_target_and_its_host_may_differ_in_case_and_default_port_only() {
        let same = |target: &str, host: &str| {
            Absolute::parse(target.as_bytes()).is_some_and(|it| it.is_same(host.as_bytes()))
        };
        assert!(same("http://a.example/x", "a.example"));
        assert!(same("HTTP://A.example", "a.EXAMPLE:80"));
        assert!(same("https://a:443?q", "a"));
        assert!(same("http://a:/", "a"));
        assert!(same("http://[::1]:8080/", "[::1]:8080"));
        assert!(!same("http://a/", "b"));
        assert!(!same("http://a/", "a:443"));
        assert!(!same("https://a/", "a:80"));
        assert!(!same("http://a:080/", "a"));
        assert!(!same("http://a.example/", "a.example."));
        assert!(!same("http://u@a/", "a"));
        assert!(!same("ftp://a/", "a"));
        assert!(!same("http:/a", "a"));
    }
}
