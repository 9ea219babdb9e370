use proptest::prelude::*;
use wharf_testkit::websocket::masked;

use super::*;
use crate::seeds;
use crate::websocket::oracle;

fn fed(assembly: &mut Assembly, pieces: &[&[u8]]) -> Result<Vec<Message>, Violation> {
    let mut messages = Vec::new();
    for piece in pieces {
        let mut bytes = *piece;
        while !bytes.is_empty() {
            messages.extend(assembly.feed(&mut bytes)?);
        }
    }
    Ok(messages)
}

/// The messages in these bytes, whole and cut everywhere.
fn messages(bytes: &[u8]) -> Result<Vec<Message>, Violation> {
    let whole = fed(&mut Assembly::default(), &[bytes]);
    let cut: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(fed(&mut Assembly::default(), &cut), whole);
    whole
}

#[test]
fn frames_become_messages_however_they_are_cut() {
    let long = "späße ".repeat(100);
    let bytes = [
        masked(0x81, b""),
        masked(0x01, "sp\u{e4}".as_bytes()),
        masked(0x8a, b"nobody asked"),
        masked(0x00, b""),
        masked(0x80, "\u{df}e".as_bytes()),
        masked(0x82, &[0xff; 5]),
        masked(0x81, long.as_bytes()),
    ]
    .concat();
    let wanted = ["".into(), "späße".into(), vec![0xff; 5].into(), long.into()];
    assert_eq!(messages(&bytes), Ok(Vec::from(wanted)));
    let mut assembly = Assembly::default();
    fed(&mut assembly, &[&bytes]).unwrap();
    assert!(assembly.is_idle());
}

#[test]
fn a_character_may_be_cut_by_fragments_but_not_by_the_end() {
    let cut = [masked(0x01, b"sp\xc3"), masked(0x80, b"\xa4")].concat();
    assert_eq!(messages(&cut), Ok(vec!["sp\u{e4}".into()]));
    assert_eq!(messages(&masked(0x81, b"sp\xc3")), Err(Violation::NotUtf8));
    let amid = [masked(0x01, b"a\xc3"), masked(0x00, b"b")].concat();
    assert_eq!(messages(&amid), Err(Violation::NotUtf8));
    // It is found before the end has come.
    let early = masked(0x01, b"\xf5");
    assert_eq!(messages(&early), Err(Violation::NotUtf8));
    assert_eq!(
        messages(&masked(0x81, b"\xed\xa0\x80")),
        Err(Violation::NotUtf8)
    );
}

#[test]
fn a_close_says_what_it_may() {
    let said = |payload: &[u8]| messages(&masked(0x88, payload));
    assert_eq!(said(b""), Ok(vec![Message::Close(None)]));
    let why = CloseFrame::new(CloseCode::new(4000).unwrap(), "bye");
    assert_eq!(said(b"\x0f\xa0bye"), Ok(vec![Message::Close(Some(why))]));
    assert_eq!(said(b"\x03"), Err(Violation::CloseMalformed));
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000_u16] {
        assert_eq!(
            said(&code.to_be_bytes()),
            Err(Violation::CloseMalformed),
            "{code}"
        );
    }
    assert_eq!(said(b"\x03\xe8\xff"), Err(Violation::NotUtf8));
    // What had begun is not part of it.
    let amid = [masked(0x01, b"begun"), masked(0x88, b"")].concat();
    assert_eq!(messages(&amid), Ok(vec![Message::Close(None)]));
}

#[test]
fn a_payload_that_was_read_in_place_is_the_same() {
    let bytes = masked(0x82, b"0123456789");
    let mut assembly = Assembly::default();
    let mut head = &bytes[..9];
    assert_eq!(assembly.feed(&mut head), Ok(None));
    assert_eq!(assembly.wanted(), Some(7));
    assembly.data().extend_from_slice(&bytes[9..]);
    let message = assembly.extended(7);
    assert_eq!(message, Ok(Some(b"0123456789".to_vec().into())));
    assert!(assembly.is_idle() && assembly.wanted().is_none());
}

/// Mostly frames, some of them broken, some cut short.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop_oneof![Just(0x81), Just(0x82), Just(0x01), Just(0x00), Just(0x80), Just(0x89)],
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        3 => "[a-zäß☕]{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ];
    let frame = (first, payload).prop_map(|(first, payload)| masked(first, &payload));
    let all = prop::collection::vec(frame, 0..12).prop_map(|frames| frames.concat());
    (all, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(mut all, at, cut)| {
        if cut && !all.is_empty() {
            all.truncate(at.index(all.len()));
        }
        all
    })
}

#[test]
fn every_seed_and_what_it_is_bent_into_holds() {
    seeds::each("websocket_meter", 400, oracle::holds);
}

proptest! {
    #[test]
    fn tungstenite_hears_the_same(bytes in frames(), cut in 1_usize..50) {
        let theirs = oracle::theirs(&bytes);
        prop_assert_eq!(&oracle::ours(&bytes, usize::MAX), &theirs);
        prop_assert_eq!(&oracle::ours(&bytes, cut), &theirs);
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 1_usize..50) {
        prop_assert_eq!(oracle::ours(&bytes, cut), oracle::theirs(&bytes));
    }
}
