//! What the meter is checked against: itself with other cuts, httparse, and a naive decoder.
//!
//! Used by the tests and, through `#[path]`, by `fuzz/`.

use super::head::{BodyFraming, Head, HeadLimits, Version};
use super::meter::{Meter, Piece};
use super::violation::Violation;

/// What a whole input comes to, however it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Blank,
    /// A head of this many bytes.
    Head(Head, usize),
    /// All of a body that came: bytes, content, whether it ended.
    Body(usize, u64, bool),
    Held,
    /// This many bytes after an upgrade.
    Tunnel(usize),
    /// A violation, and how many bytes were consumed before it.
    Refused(Violation, usize),
    /// This many bytes of a head at the end.
    Partial(usize),
}

/// The answer that upgrade requests get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Upgrade,
    Refuse,
}

/// Feeds `input` as it arrives when cut at `cuts` (sorted), as an IO wrapper does.
pub(crate) fn events(
    limits: &HeadLimits,
    input: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    answer: Answer,
) -> Vec<Event> {
    let mut meter = Meter::new();
    let mut events = Vec::new();
    let mut at = 0;
    for end in cuts.into_iter().chain([input.len()]) {
        while at < end {
            let fed = match meter.feed(limits, &input[at..end]) {
                Ok(fed) => fed,
                Err(violation) => {
                    assert_eq!(
                        meter.feed(limits, b"GET"),
                        Err(violation),
                        "the end is final"
                    );
                    events.push(Event::Refused(violation, at));
                    return events;
                }
            };
            assert!(fed.consumed <= end - at, "consumed more than was fed");
            match fed.piece {
                Piece::Blank => events.push(Event::Blank),
                Piece::PartialHead => break,
                Piece::Head(head) => events.push(Event::Head(head, fed.consumed)),
                Piece::Body { payload, end } => add_body(&mut events, fed.consumed, payload, end),
                Piece::Held => {
                    events.push(Event::Held);
                    match answer {
                        Answer::Upgrade => meter.upgraded(),
                        Answer::Refuse => meter.not_upgraded(),
                    }
                }
                Piece::Tunnel => add_tunnel(&mut events, fed.consumed),
            }
            assert!(
                fed.consumed > 0 || fed.piece == Piece::Held,
                "no progress: {fed:?}"
            );
            at += fed.consumed;
        }
    }
    if at < input.len() {
        events.push(Event::Partial(input.len() - at));
    }
    events
}

fn add_body(events: &mut Vec<Event>, bytes: usize, content: u64, over: bool) {
    if let Some(Event::Body(all, payload, end @ false)) = events.last_mut() {
        (*all, *payload, *end) = (*all + bytes, *payload + content, over);
    } else {
        events.push(Event::Body(bytes, content, over));
    }
}

fn add_tunnel(events: &mut Vec<Event>, bytes: usize) {
    if let Some(Event::Tunnel(all)) = events.last_mut() {
        *all += bytes;
    } else {
        events.push(Event::Tunnel(bytes));
    }
}

/// Asserts that everything that passed reads the same to httparse, to `http`, and to a decoder that
/// knows nothing of the meter.
///
/// # Panics
///
/// If it does not.
pub(crate) fn check(limits: &HeadLimits, input: &[u8], events: &[Event]) {
    let mut at = 0;
    for (index, event) in events.iter().enumerate() {
        match *event {
            Event::Blank => {
                assert_eq!(&input[at..at + 2], b"\r\n");
                at += 2;
            }
            Event::Head(head, length) => {
                check_head(limits, &input[at..at + length], head);
                at += length;
                check_body(limits, &input[at..], head, &events[index + 1..]);
            }
            Event::Body(bytes, ..) | Event::Tunnel(bytes) => at += bytes,
            Event::Held | Event::Partial(_) | Event::Refused(..) => {}
        }
    }
}

fn check_head(limits: &HeadLimits, bytes: &[u8], head: Head) {
    let mut fields = vec![httparse::EMPTY_HEADER; limits.max_headers];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(
        request.parse(bytes),
        Ok(httparse::Status::Complete(bytes.len()))
    );
    let version = if request.version == Some(0) {
        Version::Http10
    } else {
        Version::Http11
    };
    assert_eq!(head.version, version);
    let method = request.method.unwrap_or_default();
    let name = format!("{:?}", head.method).to_uppercase();
    assert!(
        name == method || name == "OTHER" && method != "CONNECT",
        "{name} {method}"
    );
    assert!(http::Method::from_bytes(method.as_bytes()).is_ok());
    let target = request.path.unwrap_or_default();
    assert!(target.len() <= limits.max_target);
    let Ok(uri) = target.parse::<http::Uri>() else {
        panic!("http refuses {target}")
    };
    let values = |name: &str| {
        let is_named = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
        request
            .headers
            .iter()
            .filter(is_named)
            .map(|field| field.value)
            .collect::<Vec<_>>()
    };
    match (uri.authority(), &values("host")[..]) {
        (_, []) => assert_eq!(version, Version::Http10),
        (Some(authority), [host]) => {
            let bare = |it: &str| {
                it.trim_end_matches([':', '0', '8', '4', '3'])
                    .to_lowercase()
            };
            assert_eq!(
                bare(authority.as_str()),
                bare(&String::from_utf8_lossy(host))
            );
        }
        (None, [host]) => assert!(!host.is_empty() || target == "*"),
        (_, hosts) => panic!("{} hosts", hosts.len()),
    }
    let body = match (
        &values("content-length")[..],
        &values("transfer-encoding")[..],
    ) {
        ([], []) => BodyFraming::None,
        ([length], []) => {
            let length = String::from_utf8_lossy(length).parse::<u64>();
            length.map_or_else(|error| panic!("{error}"), BodyFraming::Length)
        }
        ([], [encoding]) if encoding.eq_ignore_ascii_case(b"chunked") => BodyFraming::Chunked,
        other => panic!("framed by {other:?}"),
    };
    assert_eq!(head.body, body);
}

fn check_body(limits: &HeadLimits, bytes: &[u8], head: Head, after: &[Event]) {
    match (head.body, after.first()) {
        (BodyFraming::None | BodyFraming::Length(0), event) => {
            assert!(
                !matches!(event, Some(Event::Body(..))),
                "a body out of nothing"
            );
        }
        (BodyFraming::Length(length), Some(&Event::Body(passed, payload, end))) => {
            assert_eq!(passed as u64, payload);
            assert_eq!(end, payload == length);
        }
        (BodyFraming::Length(_), event) => assert_eq!(event, None, "the body is missing"),
        (BodyFraming::Chunked, Some(&Event::Body(passed, payload, true))) => {
            assert_eq!(decode(bytes), Decoded::Complete(payload, passed));
        }
        (BodyFraming::Chunked, Some(Event::Body(_, payload, false))) => {
            assert!(limits.max_body_size.is_none_or(|max| *payload <= max));
            let is_over = matches!(decode(bytes), Decoded::Complete(..));
            assert!(!is_over || after.len() > 1, "the end was not seen");
        }
        (BodyFraming::Chunked, _) => {}
    }
}

/// What the decoder makes of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// Content, and bytes with framing.
    Complete(u64, usize),
    Incomplete,
    Invalid,
}

/// RFC 9112 7.1.3, as literally as it goes, without limits.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    let (mut at, mut content) = (0, 0);
    loop {
        let Some(line) = line(&bytes[at..]) else {
            return Decoded::Incomplete;
        };
        at += line.len() + 2;
        let digits = line
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let size = str::from_utf8(&line[..digits]).map(|size| u64::from_str_radix(size, 16));
        let extension = line[digits..].trim_ascii();
        let fits = extension.first().is_none_or(|byte| *byte == b';');
        let (Ok(Ok(size)), true, true) = (size, digits <= 16, fits) else {
            return Decoded::Invalid;
        };
        if size == 0 {
            break;
        }
        let Some(end) = usize::try_from(size)
            .ok()
            .and_then(|size| at.checked_add(size))
        else {
            return Decoded::Incomplete;
        };
        match bytes.get(end..end.saturating_add(2)) {
            Some(b"\r\n") => (at, content) = (end + 2, content + size),
            Some(_) => return Decoded::Invalid,
            None => return Decoded::Incomplete,
        }
    }
    loop {
        let Some(line) = line(&bytes[at..]) else {
            return Decoded::Incomplete;
        };
        at += line.len() + 2;
        if line.is_empty() {
            return Decoded::Complete(content, at);
        }
    }
}

fn line(bytes: &[u8]) -> Option<&[u8]> {
    bytes
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .map(|end| &bytes[..end])
}

const WIDE: HeadLimits = HeadLimits {
    max_header_size: 32 << 10,
    max_headers: 100,
    max_target: 8 << 10,
    max_body_size: None,
};
const NARROW: HeadLimits = HeadLimits {
    max_header_size: 200,
    max_headers: 4,
    max_target: 20,
    max_body_size: Some(20),
};

/// Any cut gives the same, and what passes reads the same to others. The first byte says how the rest,
/// which is what a peer sends, is cut and answered.
///
/// # Panics
///
/// If it is not so.
pub(crate) fn holds(data: &[u8]) {
    let Some((&how, input)) = data.split_first() else {
        return;
    };
    let answer = if how & 1 == 0 {
        Answer::Refuse
    } else {
        Answer::Upgrade
    };
    let limits = if how & 2 == 0 { WIDE } else { NARROW };
    let step = usize::from(how >> 2) + 2;
    let at_once = events(&limits, input, [], answer);
    let cut = (0..input.len()).step_by(step);
    assert_eq!(at_once, events(&limits, input, cut, answer));
    assert_eq!(at_once, events(&limits, input, 0..input.len(), answer));
    check(&limits, input, &at_once);
}
