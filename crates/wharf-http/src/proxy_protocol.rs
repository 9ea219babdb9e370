//! The PROXY protocol, versions 1 and 2: who a proxy before us speaks for.
//!
//! After `haproxy.org/download/3.0/doc/proxy-protocol.txt` ("the specification"). A pure look at the
//! first bytes of a connection: no allocation, no IO. Start with [`parse`].
//!
//! Our own code and not the `ppp` crate (2.3.0): that takes `+80` for a port, refuses a header that is cut
//! after the last space, takes up to 64 KiB, looks into the addresses of LOCAL (which the
//! specification wants skipped), and adds a second major version of `thiserror`.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// They may become a header: try again with the same start and more behind it.
    Incomplete,
    /// A header.
    Complete {
        /// What it says.
        header: ProxyHeader,
        /// How many bytes it takes; what follows is the connection's own.
        consumed: usize,
    },
}

/// What a PROXY header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyHeader {
    /// The proxy speaks for itself, as in its health checks: the connection's own addresses hold.
    Local,
    /// The proxy speaks for a connection from `source` to `destination`.
    ///
    /// IPv4 addresses in IPv6 clothes (`::ffff:192.0.2.1`) are given as IPv4, so that a limit per
    /// source counts a peer as one.
    Proxied {
        /// The peer.
        source: SocketAddr,
        /// What the peer connected to.
        destination: SocketAddr,
    },
    /// The proxy does not know, or it is no internet address: the connection's own addresses hold.
    Unknown,
}

/// Why bytes are not a PROXY header that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyError {
    /// They do not begin like one.
    NotProxy,
    /// A line of version 1 is not as it should be.
    Line,
    /// A line of version 1 does not end within 107 bytes.
    LineTooLong,
    /// A version other than 1 and 2, or a command other than LOCAL and PROXY.
    Command,
    /// A family or transport that no TCP connection has, or that is not defined.
    Family,
    /// The announced length of version 2 is too short for its addresses, or its extensions (TLVs) do
    /// not fill it.
    Length,
    /// The announced length of version 2 is over 2048 bytes.
    TooLong,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotProxy => "the connection does not begin with a PROXY header",
            Self::Line => "the PROXY line is malformed",
            Self::LineTooLong => "the PROXY line is longer than 107 bytes",
            Self::Command => "the version or command of the PROXY header is unknown",
            Self::Family => "the address family of the PROXY header does not fit",
            Self::Length => "the length of the PROXY header does not fit its contents",
            Self::TooLong => "the PROXY header is longer than 2064 bytes",
        })
    }
}

impl Error for ProxyError {}

/// Looks for a PROXY header at the start of `bytes`, which is the start of the connection.
///
/// # Errors
///
/// As soon as no further bytes could make it a header that we take.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    if begins(bytes, SIGNATURE_1) {
        version_1(bytes)
    } else if begins(bytes, SIGNATURE_2) {
        version_2(bytes)
    } else {
        Err(ProxyError::NotProxy)
    }
}

/// Specification 2.1.
const SIGNATURE_1: &[u8] = b"PROXY ";
/// Specification 2.1, with CRLF.
const LONGEST_LINE: usize = 107;
/// Specification 2.2.
const SIGNATURE_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, command, family, length.
const PREFIX: usize = 16;
/// Room for addresses and for the TLVs of a TLS proxy, certificate names included.
const LONGEST_REST: usize = 2048;

/// Whether `bytes` begin with `signature`, or may once there are more of them.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    let length = bytes.len().min(signature.len());
    bytes[..length] == signature[..length]
}

/// `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n`, or `PROXY UNKNOWN` with anything behind it.
fn version_1(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let Some(rest) = bytes.strip_prefix(SIGNATURE_1) else {
        return Ok(Parsed::Incomplete);
    };
    let room = LONGEST_LINE - SIGNATURE_1.len();
    let visible = &rest[..rest.len().min(room)];
    let end = visible.iter().position(|byte| !matches!(byte, b' '..=b'~'));
    let line = &visible[..end.unwrap_or(visible.len())];
    let ends = match end.map(|end| &visible[end..]) {
        Some([b'\r', b'\n', ..]) => true,
        None | Some([b'\r']) => false,
        Some(_) => return Err(ProxyError::Line),
    };
    // If it has not ended by now, CRLF would be too late, even where CR is the last byte.
    let too_long = if !ends && visible.len() == room {
        Err(ProxyError::LineTooLong)
    } else {
        Ok(())
    };
    let whole = end.is_some();
    match words(line, whole)? {
        Some(header) if ends => {
            let consumed = SIGNATURE_1.len() + line.len() + 2;
            Ok(Parsed::Complete { header, consumed })
        }
        _ => too_long.map(|()| Parsed::Incomplete),
    }
}

/// The words of a line, `whole` if its end is seen. `None` if they lack bytes that may still come.
fn words(line: &[u8], whole: bool) -> Result<Option<ProxyHeader>, ProxyError> {
    let mut words = Words {
        rest: Some(line),
        whole,
    };
    match words.next()? {
        Word::Whole(b"TCP4") => addresses::<Ipv4Addr>(words),
        Word::Whole(b"TCP6") => addresses::<Ipv6Addr>(words),
        // Specification 2.1: ignore the rest of the line.
        Word::Whole(b"UNKNOWN") => Ok(whole.then_some(ProxyHeader::Unknown)),
        Word::Part(part)
            if [&b"TCP4"[..], b"TCP6", b"UNKNOWN"]
                .iter()
                .any(|it| it.starts_with(part)) =>
        {
            Ok(None)
        }
        Word::Whole(_) | Word::Part(_) => Err(ProxyError::Line),
    }
}

fn addresses<A: FromStr + Into<IpAddr>>(
    mut words: Words<'_>,
) -> Result<Option<ProxyHeader>, ProxyError> {
    let mut ips = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); 2];
    for ip in &mut ips {
        let fits = |part: &[u8]| {
            part.iter()
                .all(|byte| byte.is_ascii_hexdigit() || b".:".contains(byte))
        };
        match words.next()? {
            Word::Whole(word) => {
                let text = str::from_utf8(word).map_err(|_| ProxyError::Line)?;
                *ip = text.parse::<A>().map_err(|_| ProxyError::Line)?.into();
            }
            // The longest is "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".
            Word::Part(part) if part.len() <= 45 && fits(part) => return Ok(None),
            Word::Part(_) => return Err(ProxyError::Line),
        }
    }
    let mut ports = [0; 2];
    for port in &mut ports {
        match words.next()? {
            Word::Whole(word) => *port = number(word).ok_or(ProxyError::Line)?,
            Word::Part(part) if part.is_empty() || number(part).is_some() => return Ok(None),
            Word::Part(_) => return Err(ProxyError::Line),
        }
    }
    if words.rest.is_some() {
        return Err(ProxyError::Line);
    }
    Ok(Some(proxied(ips, ports)))
}

/// Specification 2.1: decimal, 0 to 65535, and no zero before other digits.
fn number(digits: &[u8]) -> Option<u16> {
    if !digits.iter().all(u8::is_ascii_digit) || matches!(digits, [b'0', _, ..]) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The words of a line, which single spaces separate.
struct Words<'a> {
    rest: Option<&'a [u8]>,
    whole: bool,
}

enum Word<'a> {
    Whole(&'a [u8]),
    /// The last word of what has come so far.
    Part(&'a [u8]),
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<Word<'a>, ProxyError> {
        let rest = self.rest.ok_or(ProxyError::Line)?;
        match rest.iter().position(|&byte| byte == b' ') {
            Some(end) => {
                self.rest = Some(&rest[end + 1..]);
                Ok(Word::Whole(&rest[..end]))
            }
            None if self.whole => {
                self.rest = None;
                Ok(Word::Whole(rest))
            }
            None => Ok(Word::Part(rest)),
        }
    }
}

/// Specification 2.2: signature, command, family, length, addresses, TLVs.
fn version_2(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let command = match bytes.get(12) {
        None => return Ok(Parsed::Incomplete),
        Some(0x20) => Command::Local,
        Some(0x21) => Command::Proxy,
        Some(_) => return Err(ProxyError::Command),
    };
    let family = match bytes.get(13) {
        None => return Ok(Parsed::Incomplete),
        // Specification 2.2: LOCAL makes the family meaningless.
        Some(_) if command == Command::Local => Family::Ignored,
        Some(0x00) => Family::Ignored,
        Some(0x11) => Family::Inet,
        Some(0x21) => Family::Inet6,
        Some(0x31) => Family::Unix,
        Some(_) => return Err(ProxyError::Family),
    };
    // The first byte of the length may already say too much.
    match bytes.get(14) {
        Some(&high) if usize::from(high) << 8 > LONGEST_REST => return Err(ProxyError::TooLong),
        _ => {}
    }
    let Some(&[high, low]) = bytes.get(14..PREFIX) else {
        return Ok(Parsed::Incomplete);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_REST {
        return Err(ProxyError::TooLong);
    }
    if length < family.length() {
        return Err(ProxyError::Length);
    }
    let consumed = PREFIX + length;
    let rest = &bytes[PREFIX..bytes.len().min(consumed)];
    if family != Family::Ignored {
        check_tlvs(
            rest.get(family.length()..).unwrap_or_default(),
            length - family.length(),
        )?;
    }
    if bytes.len() < consumed {
        return Ok(Parsed::Incomplete);
    }
    let header = match (command, family) {
        (Command::Local, _) => ProxyHeader::Local,
        (Command::Proxy, Family::Ignored | Family::Unix) => ProxyHeader::Unknown,
        (Command::Proxy, Family::Inet) => binary::<4>(rest),
        (Command::Proxy, Family::Inet6) => binary::<16>(rest),
    };
    Ok(Parsed::Complete { header, consumed })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Local,
    Proxy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Ignored,
    Inet,
    Inet6,
    Unix,
}

impl Family {
    /// Bytes of both addresses and ports.
    const fn length(self) -> usize {
        match self {
            Self::Ignored => 0,
            Self::Inet => 12,
            Self::Inet6 => 36,
            Self::Unix => 216,
        }
    }
}

/// Specification 2.2.1: extensions of type, length and value, which fill the `announced` bytes.
fn check_tlvs(mut present: &[u8], mut announced: usize) -> Result<(), ProxyError> {
    while announced > 0 {
        if announced < 3 {
            return Err(ProxyError::Length);
        }
        let Some(&[_, high, low]) = present.get(..3) else {
            return Ok(());
        };
        let length = 3 + usize::from(u16::from_be_bytes([high, low]));
        announced = announced.checked_sub(length).ok_or(ProxyError::Length)?;
        present = present.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// Two addresses of `N` bytes, then two ports. The caller has counted the bytes; were they missing,
/// nothing would be known of the peer.
fn binary<const N: usize>(rest: &[u8]) -> ProxyHeader
where
    IpAddr: From<[u8; N]>,
{
    let Some((source, rest)) = rest.split_first_chunk::<N>() else {
        return ProxyHeader::Unknown;
    };
    let Some((destination, rest)) = rest.split_first_chunk::<N>() else {
        return ProxyHeader::Unknown;
    };
    let Some(&[a, b, c, d]) = rest.first_chunk::<4>() else {
        return ProxyHeader::Unknown;
    };
    let ports = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    proxied([IpAddr::from(*source), IpAddr::from(*destination)], ports)
}

fn proxied(ips: [IpAddr; 2], ports: [u16; 2]) -> ProxyHeader {
    ProxyHeader::Proxied {
        source: SocketAddr::new(ips[0].to_canonical(), ports[0]),
        destination: SocketAddr::new(ips[1].to_canonical(), ports[1]),
    }
}

#[cfg(test)]
mod tests;
