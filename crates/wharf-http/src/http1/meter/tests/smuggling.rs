//! Heads that two readers could frame differently: `attacks.md` L34 and cases 25 to 29.

use super::*;
use Violation as V;

#[test]
fn of_an_ambiguous_request_nothing_reaches_the_handler() {
    let post = |fields: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
        )
    };
    for (fields, expected) in LENGTHS.iter().chain(ENCODINGS) {
        let found = events_of(&LIMITS, post(fields).as_bytes());
        assert_eq!(found, [Event::Refused(*expected, 0)], "{fields:?}");
        assert_eq!(expected.status(), 400);
    }
}

#[test]
fn http_1_0_has_no_transfer_encoding() {
    let input = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(violation(input), Some(V::TransferEncodingOnHttp10));
}

#[test]
fn of_an_ambiguous_body_the_next_request_is_not_seen() {
    let next = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    for (body, expected) in [
        ("1;\nx\r\n0\r\n\r\n", V::BareLf),
        ("1;a\nx\r\n0\r\n\r\n", V::BareLf),
        ("1\nx\r\n0\r\n\r\n", V::BareLf),
        ("1\r\nx\n0\r\n\r\n", V::ChunkEndInvalid),
        ("1\r\nxx\r\n0\r\n\r\n", V::ChunkEndInvalid),
        ("10000000000000000\r\nx\r\n0\r\n\r\n", V::ChunkSizeInvalid),
        ("00000000000000001\r\nx\r\n0\r\n\r\n", V::ChunkSizeInvalid),
        ("0x1\r\nx\r\n0\r\n\r\n", V::ChunkSizeInvalid),
        ("1 \r\nx\r\n0\r\n\r\n", V::ChunkSizeInvalid),
        (" 1\r\nx\r\n0\r\n\r\n", V::ChunkSizeInvalid),
        ("\r\n0\r\n\r\n", V::ChunkSizeInvalid),
        ("0\n\r\n", V::BareLf),
        ("0\r\n\n", V::BareLf),
        ("0\r\nContent-Length: 30\r\n\r\n", V::TrailerForbidden),
        ("0\r\n", V::FieldNameInvalid),
    ] {
        let input = chunked(body) + next;
        let found = events_of(&LIMITS, input.as_bytes());
        let refused =
            matches!(found.last(), Some(Event::Refused(violation, _)) if *violation == expected);
        assert!(refused, "{body:?}: {found:?}");
        let heads = found
            .iter()
            .filter(|event| matches!(event, Event::Head(..)))
            .count();
        assert_eq!(heads, 1, "{body:?}");
    }
}

#[test]
fn the_sizes_of_the_acceptance_suite_are_refused_as_it_says() {
    let limits = HeadLimits {
        max_header_size: 16 << 10,
        max_headers: 64,
        ..LIMITS
    };
    let of = |input: &str| violation_under(&limits, input).map(V::status);
    assert_eq!(of(&get(&"a: b\r\n".repeat(65))), Some(431));
    assert_eq!(
        of(&get(&format!("a: {}\r\n", "x".repeat(17 << 10)))),
        Some(431)
    );
    assert_eq!(of(&format!("GET /{}", "x".repeat(9 << 10))), Some(414));
    let limits = HeadLimits {
        max_body_size: Some(1 << 20),
        ..LIMITS
    };
    let of = |input: &str| violation_under(&limits, input).map(V::status);
    assert_eq!(of(&get("Content-Length: 1048577\r\n")), Some(413));
    assert_eq!(
        of(&chunked(&format!("100000\r\n{}\r\n1", "x".repeat(1 << 20)))),
        Some(413)
    );
    assert_eq!(
        of(&chunked(&format!("1;{}\r\nx\r\n", "e".repeat(20 << 10)))),
        Some(400)
    );
    assert_eq!(
        of(&chunked(&format!(
            "0\r\nt: {}\r\n\r\n",
            "e".repeat(20 << 10)
        ))),
        Some(400)
    );
    assert_eq!(of("CONNECT a:80 HTTP/1.1\r\n"), Some(405));
}

const LENGTHS: &[(&str, V)] = &[
    (
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        V::ContentLengthRepeated,
    ),
    (
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        V::ContentLengthRepeated,
    ),
    ("Content-Length: 5, 5\r\n", V::ContentLengthInvalid),
    ("Content-Length: 5,6\r\n", V::ContentLengthInvalid),
    ("Content-Length: +5\r\n", V::ContentLengthInvalid),
    ("Content-Length: -5\r\n", V::ContentLengthInvalid),
    ("Content-Length: 0x10\r\n", V::ContentLengthInvalid),
    ("Content-Length: 1 1\r\n", V::ContentLengthInvalid),
    ("Content-Length: 1_0\r\n", V::ContentLengthInvalid),
    ("Content-Length: 5.0\r\n", V::ContentLengthInvalid),
    ("Content-Length:\r\n", V::ContentLengthInvalid),
    ("Content-Length: \u{661}\r\n", V::ContentLengthInvalid),
    (
        "Content-Length: 00000000000000000005\r\n",
        V::ContentLengthInvalid,
    ),
    (
        "Content-Length: 18446744073709551621\r\n",
        V::ContentLengthInvalid,
    ),
    ("Content-Length: 5\0\r\n", V::ControlCharacter),
    ("Content-Length: \x0b5\r\n", V::ControlCharacter),
    ("Content-Length : 5\r\n", V::FieldNameInvalid),
    ("Content-Length\t: 5\r\n", V::FieldNameInvalid),
    ("Content-Length: 5\r\n 5\r\n", V::LineFolded),
];

const ENCODINGS: &[(&str, V)] = &[
    (
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        V::LengthAndEncoding,
    ),
    (
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        V::LengthAndEncoding,
    ),
    (
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        V::LengthAndEncoding,
    ),
    (
        "Transfer-Encoding: gzip, chunked\r\n",
        V::TransferEncodingInvalid,
    ),
    (
        "Transfer-Encoding: chunked, gzip\r\n",
        V::TransferEncodingInvalid,
    ),
    (
        "Transfer-Encoding: chunked, chunked\r\n",
        V::TransferEncodingInvalid,
    ),
    (
        "Transfer-Encoding: chunked,\r\n",
        V::TransferEncodingInvalid,
    ),
    (
        "Transfer-Encoding: ,chunked\r\n",
        V::TransferEncodingInvalid,
    ),
    (
        "Transfer-Encoding: xchunked\r\n",
        V::TransferEncodingInvalid,
    ),
    (
        "Transfer-Encoding: chunkedx\r\n",
        V::TransferEncodingInvalid,
    ),
    (
        "Transfer-Encoding: \"chunked\"\r\n",
        V::TransferEncodingInvalid,
    ),
    (
        "Transfer-Encoding: chunked;q=1\r\n",
        V::TransferEncodingInvalid,
    ),
    (
        "Transfer-Encoding: identity\r\n",
        V::TransferEncodingInvalid,
    ),
    ("Transfer-Encoding:\r\n", V::TransferEncodingInvalid),
    (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        V::TransferEncodingRepeated,
    ),
    (
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        V::TransferEncodingRepeated,
    ),
    (
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        V::TransferEncodingInvalid,
    ),
    ("Transfer-Encoding : chunked\r\n", V::FieldNameInvalid),
    ("Transfer-Encoding\r\n: chunked\r\n", V::FieldNameInvalid),
    (
        "Transfer-Encoding:\r\n chunked\r\n",
        V::TransferEncodingInvalid,
    ),
    ("X: y\r\n Transfer-Encoding: chunked\r\n", V::LineFolded),
    ("X: y\nTransfer-Encoding: chunked\r\n", V::BareLf),
    ("X: y\rTransfer-Encoding: chunked\r\n", V::BareCr),
    ("Transfer-Encoding: \x0bchunked\r\n", V::ControlCharacter),
    ("Transfer-Encoding: chunked\0\r\n", V::ControlCharacter),
];
