mod body;
mod head;
mod properties;
mod smuggling;
mod upgrade;

use super::super::oracle::{self, Answer, Event, check, events};
use super::*;
use crate::seeds;

pub(super) const LIMITS: HeadLimits = HeadLimits {
    max_header_size: 32 * 1024,
    max_headers: 100,
    max_target: 8 * 1024,
    max_body_size: None,
};

/// The events of `input`, which must be the same at once and byte by byte.
pub(super) fn events_of(limits: &HeadLimits, input: &[u8]) -> Vec<Event> {
    let at_once = events(limits, input, [], Answer::Refuse);
    assert_eq!(
        at_once,
        events(limits, input, 0..input.len(), Answer::Refuse)
    );
    check(limits, input, &at_once);
    at_once
}

/// The violation that `input` ends in.
pub(super) fn violation(input: impl AsRef<[u8]>) -> Option<Violation> {
    violation_under(&LIMITS, input)
}

pub(super) fn violation_under(limits: &HeadLimits, input: impl AsRef<[u8]>) -> Option<Violation> {
    match events_of(limits, input.as_ref()).last() {
        Some(&Event::Refused(violation, _)) => Some(violation),
        _ => None,
    }
}

/// The one head that `input` is.
pub(super) fn head(input: impl AsRef<[u8]>) -> Head {
    let input = input.as_ref();
    match events_of(&LIMITS, input)[..] {
        [Event::Head(head, length)] if length == input.len() => head,
        ref other => panic!("{:?}: {other:?}", String::from_utf8_lossy(input)),
    }
}

pub(super) fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

/// A chunked request with this body.
pub(super) fn chunked(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn every_seed_and_what_it_is_bent_into_holds() {
    seeds::each("http1_meter", 400, oracle::holds);
}

#[test]
fn a_meter_is_small() {
    assert!(size_of::<Meter>() <= 96, "{}", size_of::<Meter>());
}

#[test]
fn requests_follow_one_another() {
    let input = [
        &get("")[..],
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        &chunked("3\r\nabc\r\n0\r\n\r\n"),
        "\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        &get(""),
        "GE",
    ];
    let found = events_of(&LIMITS, input.concat().as_bytes());
    let body = |length, payload| Event::Body(length, payload, true);
    assert_eq!(found.len(), 9);
    assert_eq!(
        (found[2], found[4], found[5]),
        (body(5, 5), body(13, 3), Event::Blank)
    );
    assert_eq!(found[8], Event::Partial(2));
}

#[test]
fn the_place_tells_what_is_outstanding() {
    let mut meter = Meter::new();
    let mut after = |bytes: &str| {
        let fed = meter.feed(&LIMITS, bytes.as_bytes());
        assert!(fed.is_ok(), "{fed:?}");
        (meter.place(), meter.at_boundary(), meter.in_body())
    };
    assert_eq!(after(""), (Place::Boundary, true, false));
    assert_eq!(after("\r\n"), (Place::Boundary, true, false));
    assert_eq!(after("P"), (Place::Head, false, false));
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(after(head), (Place::Body, false, true));
    assert_eq!(after(""), (Place::Body, false, true));
    assert_eq!(after("1"), (Place::Body, false, true));
    assert_eq!(after("2"), (Place::Boundary, true, false));
    assert!(meter.feed(&LIMITS, b"\n").is_err());
    assert_eq!(meter.place(), Place::Refused);
}

#[test]
fn a_dripping_head_costs_no_more_than_its_length() {
    // Quadratic, this would look at 2^31 bytes and take minutes in a debug build.
    let limits = HeadLimits {
        max_header_size: 1 << 16,
        ..LIMITS
    };
    let input = get(&format!("X: {}\r\n", "x".repeat(65_000)));
    let mut meter = Meter::new();
    for end in 1..input.len() {
        let fed = meter.feed(&limits, &input.as_bytes()[..end]);
        assert_eq!(
            fed,
            Ok(Fed {
                consumed: 0,
                piece: Piece::PartialHead
            })
        );
    }
    assert_eq!(
        meter
            .feed(&limits, input.as_bytes())
            .map(|fed| fed.consumed),
        Ok(input.len())
    );
}

#[test]
fn every_violation_has_a_client_error_or_server_refusal_and_a_sentence() {
    let every = [
        Violation::MethodConnect,
        Violation::BodyTooLarge,
        Violation::TargetTooLong,
    ];
    assert_eq!(every.map(Violation::status), [405, 413, 414]);
    assert_eq!(Violation::HeadTooLarge.status(), 431);
    assert_eq!(Violation::VersionUnsupported.status(), 505);
    assert_eq!(Violation::MethodTooLong.status(), 501);
    assert_eq!(Violation::HostMissing.status(), 400);
    assert!(!Violation::HostMissing.why().ends_with('.'));
}
