use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::seeds;

/// What `bytes` come to, at once and byte by byte, which must be the same.
fn outcome(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let at_once = parse(bytes);
    for end in 0..bytes.len() {
        match parse(&bytes[..end]) {
            Ok(Parsed::Incomplete) => {}
            early @ Ok(Parsed::Complete { consumed, .. }) => {
                assert_eq!(early, at_once);
                assert_eq!(consumed, end);
                break;
            }
            early @ Err(_) => {
                assert_eq!(early, at_once, "{bytes:?}");
                break;
            }
        }
    }
    at_once
}

fn proxied(source: &str, destination: &str) -> ProxyHeader {
    let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
    ProxyHeader::Proxied {
        source,
        destination,
    }
}

/// The header that `bytes` are, followed by something else.
fn header(bytes: impl AsRef<[u8]>) -> ProxyHeader {
    let bytes = bytes.as_ref();
    match outcome(&[bytes, b"PROXY \r\n"].concat()) {
        Ok(Parsed::Complete { header, consumed }) => {
            assert_eq!(consumed, bytes.len());
            header
        }
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

fn v2(command: u8, family: u8, length: usize, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[command, family][..],
        &length.to_be_bytes(),
        rest,
    ]
    .concat()
}

#[test]
fn a_line_names_source_and_destination() {
    assert_eq!(
        header("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
        proxied("192.0.2.1:56324", "198.51.100.2:443")
    );
    assert_eq!(
        header("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
        proxied("255.255.255.255:65535", "255.255.255.255:65535")
    );
    assert_eq!(
        header("PROXY TCP6 2001:db8::1 ::1 1 0\r\n"),
        proxied("[2001:db8::1]:1", "[::1]:0")
    );
    let most = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let line = format!("PROXY TCP6 {most} {most} 65535 65535\r\n");
    assert_eq!(
        header(line),
        proxied(&format!("[{most}]:65535"), &format!("[{most}]:65535"))
    );
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() {
    let expected = proxied("192.0.2.1:1", "192.0.2.2:2");
    assert_eq!(
        header("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2\r\n"),
        expected
    );
    let mut rest = vec![0; 36];
    rest[10..16].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 1]);
    rest[26..36].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 2, 0, 1, 0, 2]);
    assert_eq!(header(v2(0x21, 0x21, 36, &rest)), expected);
}

#[test]
fn an_unknown_line_may_say_anything() {
    let unknown = ProxyHeader::Unknown;
    assert_eq!(header("PROXY UNKNOWN\r\n"), unknown);
    assert_eq!(header("PROXY UNKNOWN \r\n"), unknown);
    assert_eq!(header("PROXY UNKNOWN ffff::1 what ever  TCP4\r\n"), unknown);
    assert_eq!(
        header(format!("PROXY UNKNOWN {}\r\n", "x".repeat(91))),
        unknown
    );
}

#[test]
fn a_line_has_at_most_107_bytes() {
    let line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(line.len(), 108);
    assert_eq!(outcome(line.as_bytes()), Err(ProxyError::LineTooLong));
    assert_eq!(outcome(&line.as_bytes()[..106]), Ok(Parsed::Incomplete));
    assert_eq!(
        outcome(&line.as_bytes()[..107]),
        Err(ProxyError::LineTooLong)
    );
}

#[test]
fn a_malformed_line_is_refused_as_soon_as_it_is() {
    for line in [
        "PROXY  ",
        "PROXY TCP5",
        "PROXY t",
        "PROXY TCP4  ",
        "PROXY TCP\r",
        "PROXY UNKNOWNX",
        "PROXY \r",
        "PROXY TCP4 x",
        "PROXY TCP4 1.2.3 ",
        "PROXY TCP4 1.2.3.256 ",
        "PROXY TCP4 01.2.3.4 ",
        "PROXY TCP4 ::1 ",
        "PROXY TCP6 1.2.3.4 ",
        "PROXY TCP6 [",
        "PROXY TCP6 ::1%",
        "PROXY TCP6 1:::2 ",
        "PROXY TCP4\r",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01",
        "PROXY TCP4 1.2.3.4 1.2.3.4 65536",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r",
        "PROXY TCP4 1.2.3.4 1.2.3.4  ",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN \t",
        "PROXY UNKNOWN \0",
        "PROXY UNKNOWN \rx",
    ] {
        assert_eq!(outcome(line.as_bytes()), Err(ProxyError::Line), "{line:?}");
        let before = &line.as_bytes()[..line.len() - 1];
        assert_eq!(parse(before), Ok(Parsed::Incomplete), "{line:?} earlier");
    }
}

#[test]
fn what_begins_otherwise_is_told_at_the_first_byte() {
    for bytes in [
        &b"G"[..],
        b"\x16",
        b"PR ",
        b"PRI * HTTP/2.0",
        b"proxy",
        b"\n",
        b"\r\r",
        b"\r\n\r\n\0\r\nQUIX",
    ] {
        assert_eq!(outcome(bytes), Err(ProxyError::NotProxy), "{bytes:?}");
        assert_eq!(parse(b""), Ok(Parsed::Incomplete));
    }
}

#[test]
fn a_binary_header_names_source_and_destination() {
    let rest = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 1, 187];
    assert_eq!(
        header(v2(0x21, 0x11, 12, &rest)),
        proxied("192.0.2.1:56324", "198.51.100.2:443")
    );
    let mut rest = vec![0; 36];
    (rest[15], rest[31], rest[33], rest[35]) = (1, 2, 3, 4);
    assert_eq!(
        header(v2(0x21, 0x21, 36, &rest)),
        proxied("[::1]:3", "[::2]:4")
    );
}

#[test]
fn local_is_taken_whatever_it_carries() {
    let local = ProxyHeader::Local;
    assert_eq!(header(v2(0x20, 0x00, 0, b"")), local);
    assert_eq!(header(v2(0x20, 0xff, 3, b"abc")), local);
    assert_eq!(header(v2(0x20, 0x11, 0, b"")), local);
    assert_eq!(header(v2(0x20, 0x00, 2048, &[7; 2048])), local);
}

#[test]
fn what_is_no_internet_address_is_unknown() {
    assert_eq!(header(v2(0x21, 0x00, 0, b"")), ProxyHeader::Unknown);
    assert_eq!(header(v2(0x21, 0x00, 2, b"ab")), ProxyHeader::Unknown);
    assert_eq!(header(v2(0x21, 0x31, 216, &[1; 216])), ProxyHeader::Unknown);
}

#[test]
fn a_malformed_binary_header_is_refused_as_soon_as_it_is() {
    for (bytes, expected) in [
        (v2(0x11, 0x11, 12, b""), ProxyError::Command),
        (v2(0x22, 0x11, 12, b""), ProxyError::Command),
        (v2(0x31, 0x11, 12, b""), ProxyError::Command),
        (v2(0x21, 0x12, 12, b""), ProxyError::Family),
        (v2(0x21, 0x01, 12, b""), ProxyError::Family),
        (v2(0x21, 0x41, 12, b""), ProxyError::Family),
        (v2(0x21, 0x10, 12, b""), ProxyError::Family),
        (v2(0x21, 0x11, 11, b""), ProxyError::Length),
        (v2(0x21, 0x21, 35, b""), ProxyError::Length),
        (v2(0x21, 0x31, 215, b""), ProxyError::Length),
        (v2(0x21, 0x11, 2049, b""), ProxyError::TooLong),
        (v2(0x20, 0x00, 65535, b""), ProxyError::TooLong),
        (v2(0x21, 0x11, 13, b""), ProxyError::Length),
        (
            v2(0x21, 0x11, 15, b"aaaabbbbccdd\x04\0\x01"),
            ProxyError::Length,
        ),
        (
            v2(0x21, 0x11, 17, b"aaaabbbbccdd\x04\0\0\x04\0"),
            ProxyError::Length,
        ),
    ] {
        assert_eq!(outcome(&bytes), Err(expected), "{bytes:?}");
    }
}

#[test]
fn extensions_are_skipped() {
    let address = [192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2];
    let rest = [&address[..], b"\x01\0\x02h2", b"\x04\0\0"].concat();
    assert_eq!(
        header(v2(0x21, 0x11, 20, &rest)),
        proxied("192.0.2.1:1", "192.0.2.2:2")
    );
    let rest = [&address[..], &[4, 0x07, 0xf1], &[0; 2033]].concat();
    assert_eq!(
        header(v2(0x21, 0x11, 2048, &rest)),
        proxied("192.0.2.1:1", "192.0.2.2:2")
    );
}

fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "PROXY ",
        "TCP4 ",
        "TCP6 ",
        "UNKNOWN",
        "192.0.2.1 ",
        "::1 ",
        "80 ",
        "443",
        "0",
        "\r\n",
        " ",
        "\r",
        "ffff:",
    ]);
    let word = prop_oneof![
        8 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..3),
    ];
    let line = vec(word, 0..9).prop_map(|words| [b"PROXY ", &words.concat()[..]].concat());
    let commands = prop_oneof![Just(0x20), Just(0x21), any::<u8>()];
    let families = prop_oneof![Just(0x11), Just(0x21), Just(0x31), Just(0), any::<u8>()];
    let binary = (commands, families, 0..300_usize, vec(0..6_u8, 0..300))
        .prop_map(|(command, family, length, rest)| v2(command, family, length, &rest));
    prop_oneof![line, binary, vec(any::<u8>(), 0..20)]
}

#[test]
fn every_seed_and_what_it_is_bent_into_is_decided_once() {
    seeds::each("proxy_protocol", 2000, |bytes| {
        outcome(bytes).ok();
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..Default::default() })]

    #[test]
    fn more_bytes_never_change_what_was_decided(bytes in nearly()) {
        let bounded = match outcome(&bytes) {
            Ok(Parsed::Incomplete) => bytes.len() < 16 + 2048,
            Ok(Parsed::Complete { consumed, .. }) => consumed <= bytes.len(),
            Err(_) => true,
        };
        prop_assert!(bounded);
    }

    #[test]
    fn what_is_written_is_read(source in any::<(IpAddr, u16)>(), destination in any::<(IpAddr, u16)>()) {
        let (source, destination) = (SocketAddr::from(source), SocketAddr::from(destination));
        let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), destination.ip()) else {
            return Ok(());
        };
        let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
        let rest = [&from.octets()[..], &to.octets(), &ports].concat();
        let expected = ProxyHeader::Proxied { source, destination };
        prop_assert_eq!(header(v2(0x21, 0x11, 12, &rest)), expected);
        let line = format!("PROXY TCP4 {from} {to} {} {}\r\n", source.port(), destination.port());
        prop_assert_eq!(header(line), expected);
    }
}
