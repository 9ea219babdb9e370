use super::super::super::head::BodyFraming;
use super::*;
use Violation as V;

/// The violation of a chunked body.
fn of(body: &str) -> Option<V> {
    violation(chunked(body))
}

fn last(input: &str) -> Option<Event> {
    events_of(&LIMITS, input.as_bytes()).last().copied()
}

#[test]
fn a_content_length_body_ends_where_it_says() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(last(&format!("{head}ab")), Some(Event::Body(2, 2, false)));
    assert_eq!(last(&format!("{head}abc")), Some(Event::Body(3, 3, true)));
    assert_eq!(last(&format!("{head}abcG")), Some(Event::Partial(1)));
    assert_eq!(
        super::head(get("content-LENGTH:0000007 \r\n")).body,
        BodyFraming::Length(7)
    );
    let most = u64::pow(10, 19) - 1;
    assert_eq!(
        super::head(get(&format!("Content-Length: {most}\r\n"))).body,
        BodyFraming::Length(most)
    );
}

#[test]
fn a_chunked_body_ends_after_its_trailers() {
    for (body, payload) in [
        ("0\r\n\r\n", 0),
        ("0000000000000000\r\n\r\n", 0),
        ("3\r\nabc\r\n0\r\n\r\n", 3),
        ("A\r\n0123456789\r\n1\r\n\r\r\n0\r\n\r\n", 11),
        ("2\r\n\r\n\r\n0\r\n\r\n", 2),
        ("1;a=b;c=\"d e\"\r\nx\r\n0 ; z\r\n\r\n", 1),
        ("0\r\nX: a\r\nY:\r\nContent-Lengthy: 1\r\nHos: a\r\n\r\n", 0),
    ] {
        let end = Some(Event::Body(body.len(), payload, true));
        assert_eq!(last(&chunked(body)), end, "{body:?}");
    }
}

#[test]
fn a_chunk_size_is_one_to_sixteen_hexadecimal_digits() {
    for body in [
        "\r\n",
        "g",
        "-1",
        "+1",
        "0x1",
        " 1",
        ";",
        "1x",
        "1 \r",
        "1 2",
        "00000000000000001",
    ] {
        assert_eq!(of(body), Some(V::ChunkSizeInvalid), "{body:?}");
    }
    assert_eq!(of("ffffffffffffffff\r\n"), None);
    assert_eq!(of("1\n"), Some(V::BareLf));
    assert_eq!(of("1\rx"), Some(V::BareCr));
}

#[test]
fn chunk_sizes_do_not_overflow_together() {
    // One byte, then 2^64 - 1 more.
    assert_eq!(of("1\r\nx\r\nffffffffffffffff\r\n"), Some(V::BodyTooLarge));
}

#[test]
fn a_chunk_ends_where_its_size_says() {
    for body in ["1\r\nxy", "1\r\nx\rX", "1\r\nx\n", "1\r\nx0\r\n\r\n"] {
        assert_eq!(of(body), Some(V::ChunkEndInvalid), "{body:?}");
    }
}

#[test]
fn chunk_extensions_have_neither_line_ends_nor_controls() {
    assert_eq!(of("1;a\n"), Some(V::BareLf));
    assert_eq!(of("1;\n"), Some(V::BareLf));
    assert_eq!(of("1;a\rb"), Some(V::BareCr));
    assert_eq!(of("1;a\0"), Some(V::ControlCharacter));
    assert_eq!(of("1;a\tb\r\nx\r\n"), None);
}

#[test]
fn chunk_extensions_have_16_kib_per_body() {
    let most = 16 * 1024;
    assert_eq!(of(&format!("1;{}\r\nx\r\n", "e".repeat(most - 1))), None);
    assert_eq!(
        of(&format!("1;{}\r\nx\r\n", "e".repeat(most))),
        Some(V::ChunkExtensionsTooLong)
    );
    assert_eq!(
        of(&format!("1{}", " ".repeat(most + 1))),
        Some(V::ChunkExtensionsTooLong)
    );
    assert_eq!(of(&"1;e\r\nx\r\n".repeat(most / 2)), None);
    assert_eq!(
        of(&"1;e\r\nx\r\n".repeat(most / 2 + 1)),
        Some(V::ChunkExtensionsTooLong)
    );
}

#[test]
fn trailers_are_fields_but_may_not_frame_or_route() {
    for (trailer, expected) in [
        ("Content-Length: 1\r\n", V::TrailerForbidden),
        (
            "A: b\r\nTRANSFER-encoding: chunked\r\n",
            V::TrailerForbidden,
        ),
        ("host:a\r\n", V::TrailerForbidden),
        (" a: b\r\n", V::LineFolded),
        ("a: b\r\n\tc\r\n", V::LineFolded),
        (": b\r\n", V::FieldNameInvalid),
        ("a b: c\r\n", V::FieldNameInvalid),
        ("a : c\r\n", V::FieldNameInvalid),
        ("a\r\n", V::FieldNameInvalid),
        ("\u{e9}: c\r\n", V::FieldNameInvalid),
        ("a\n", V::BareLf),
        ("a: b\n", V::BareLf),
        ("\n", V::BareLf),
        ("a: b\rc", V::BareCr),
        ("\ra", V::BareCr),
        ("a: \0", V::ControlCharacter),
    ] {
        assert_eq!(
            of(&format!("0\r\n{trailer}")),
            Some(expected),
            "{trailer:?}"
        );
    }
}

#[test]
fn trailers_are_bounded_in_number_and_size() {
    assert_eq!(of(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(100))), None);
    assert_eq!(
        of(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(101))),
        Some(V::TooManyTrailers)
    );
    assert_eq!(of(&format!("0\r\na: {}\r\n\r\n", "x".repeat(16_000))), None);
    assert_eq!(
        of(&format!("0\r\na: {}\r\n\r\n", "x".repeat(20_000))),
        Some(V::TrailersTooLarge)
    );
    assert_eq!(
        of(&format!("0\r\n{}", "x".repeat(20_000))),
        Some(V::TrailersTooLarge)
    );
    let limits = HeadLimits {
        max_header_size: 100,
        ..LIMITS
    };
    let input = chunked(&format!("0\r\na: {}\r\n\r\n", "x".repeat(93)));
    assert_eq!(violation_under(&limits, input), Some(V::TrailersTooLarge));
    let input = chunked(&format!("0\r\na: {}\r\n\r\n", "x".repeat(92)));
    assert_eq!(
        violation_under(&limits, input),
        None,
        "99 bytes, the most that hyper takes"
    );
}

#[test]
fn a_body_over_max_body_size_is_refused_at_the_first_byte_that_says_so() {
    let limits = HeadLimits {
        max_body_size: Some(10),
        ..LIMITS
    };
    let of = |input: String| violation_under(&limits, input);
    assert_eq!(of(get("Content-Length: 10\r\n")), None);
    assert_eq!(of(get("Content-Length: 11\r\n")), Some(V::BodyTooLarge));
    assert_eq!(of(chunked("a\r\n0123456789\r\n0\r\n\r\n")), None);
    assert_eq!(of(chunked("b")), Some(V::BodyTooLarge));
    assert_eq!(of(chunked("9\r\n012345678\r\n1\r\nx\r\n0\r\n\r\n")), None);
    assert_eq!(of(chunked("9\r\n012345678\r\n2")), Some(V::BodyTooLarge));
    let none = HeadLimits {
        max_body_size: Some(0),
        ..LIMITS
    };
    assert_eq!(violation_under(&none, chunked("0\r\n\r\n")), None);
    assert_eq!(violation_under(&none, chunked("1")), Some(V::BodyTooLarge));
}

#[test]
fn what_precedes_a_violation_in_a_body_is_still_told() {
    let found = events_of(&LIMITS, chunked("3\r\nabc\r\n2\r\nxyz").as_bytes());
    let head = chunked("").len();
    assert_eq!(found[1], Event::Body(13, 5, false));
    assert_eq!(found[2], Event::Refused(V::ChunkEndInvalid, head + 13));
}
