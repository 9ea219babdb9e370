use proptest::prelude::*;
use wharf_testkit::websocket::hostile::fragments;
use wharf_testkit::websocket::masked_with;

use super::*;

const LIMITS: Limits = Limits {
    max_frame: 300,
    max_message: 500,
    max_fragments: 4,
    extensions: false,
};

/// A client's frame with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked_with([0; 4], first, payload)
}

/// What the meter makes of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    handlers: Vec<u8>,
    pings: Vec<Vec<u8>>,
    pongs: Vec<Vec<u8>>,
    closed: Vec<Option<u16>>,
    after: usize,
    refused: Option<Violation>,
}

fn found(bytes: &[u8], cuts: &[usize]) -> Found {
    let mut meter = Meter::default();
    let mut found = Found::default();
    let mut at = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        while at < end {
            let fed = match meter.feed(&LIMITS, &bytes[at..end]) {
                Ok(fed) => fed,
                Err(violation) => {
                    found.refused = Some(violation);
                    assert_eq!(meter.feed(&LIMITS, b"x"), Err(violation));
                    return found;
                }
            };
            assert!(fed.consumed > 0 && fed.consumed <= end - at);
            let piece = &bytes[at..at + fed.consumed];
            at += fed.consumed;
            match fed.piece {
                Piece::Handler => found.handlers.extend(piece),
                Piece::Kept => {}
                Piece::Ping(ping) => found.pings.push(ping.payload().collect()),
                Piece::Pong(pong) => found.pongs.push(pong.payload().collect()),
                Piece::Closed(code) => {
                    found.handlers.extend(piece);
                    found.closed.push(code);
                }
                Piece::After => found.after += piece.len(),
            }
        }
    }
    found
}

fn refused(bytes: &[u8]) -> Option<Violation> {
    found(bytes, &[]).refused
}

#[test]
fn pings_and_pongs_are_ours_and_the_rest_is_the_handlers() {
    let (text, rest) = (frame(0x01, b"one"), frame(0x80, &[7; 200]));
    let close = frame(0x88, b"\x03\xe8bye");
    let all = [
        text.clone(),
        frame(0x89, b"ping"),
        rest.clone(),
        frame(0x8a, b""),
        close.clone(),
        frame(0x81, b"late"),
    ];
    let found = found(&all.concat(), &[]);
    assert_eq!(found.handlers, [text, rest, close].concat());
    assert_eq!(found.pings, [b"ping"]);
    assert_eq!(found.pongs, [b""]);
    assert_eq!((found.closed, found.after), (vec![Some(1000)], 10));
    assert_eq!(found.refused, None);
}

#[test]
fn a_mask_is_taken_off_what_is_ours() {
    let found = found(b"\x89\x83\x01\x02\x03\x04\x60\x60\x60", &[]);
    assert_eq!(found.pings, [b"abc"]);
}

#[test]
fn every_rule_is_kept() {
    let head = |bytes: &[u8]| refused(bytes);
    assert_eq!(head(b"\x81\x01x"), Some(Violation::NotMasked));
    for bit in [0x40, 0x20, 0x10] {
        assert_eq!(head(&frame(0x81 | bit, b"")), Some(Violation::ReservedBits));
    }
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        let frame = frame(0x80 | opcode, b"");
        assert_eq!(head(&frame), Some(Violation::ReservedOpcode), "{opcode}");
    }
    for opcode in [8, 9, 0xa] {
        assert_eq!(
            head(&frame(opcode, b"")),
            Some(Violation::ControlFragmented)
        );
        let long = frame(0x80 | opcode, &[0; 126]);
        assert_eq!(head(&long), Some(Violation::ControlTooLong));
        assert_eq!(head(&frame(0x80 | opcode, &[0; 125])), None);
    }
    assert_eq!(head(&frame(0x80, b"")), Some(Violation::NothingToContinue));
    let twice = frame(0x01, b"").repeat(2);
    assert_eq!(head(&twice), Some(Violation::MessageWithinMessage));
    let length = b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0";
    assert_eq!(head(length), Some(Violation::LengthInvalid));
}

#[test]
fn every_limit_bites_where_it_is_passed() {
    assert_eq!(refused(&frame(0x82, &[0; 300])), None);
    assert_eq!(
        refused(&frame(0x82, &[0; 301])),
        Some(Violation::FrameTooLarge)
    );
    let half = [frame(0x02, &[0; 250]), frame(0x80, &[0; 250])].concat();
    assert_eq!(refused(&half.repeat(3)), None);
    let more = [frame(0x02, &[0; 250]), frame(0x80, &[0; 251])].concat();
    assert_eq!(refused(&more), Some(Violation::MessageTooLarge));
    assert_eq!(refused(&fragments(4)), None);
    assert_eq!(refused(&fragments(5)), Some(Violation::TooManyFragments));
}

#[test]
fn what_the_client_owes_is_the_rest_of_a_frame_or_of_a_message() {
    let mut meter = Meter::default();
    let mut amid = |bytes: &[u8]| {
        let mut at = 0;
        while at < bytes.len() {
            at += meter.feed(&LIMITS, &bytes[at..]).unwrap().consumed;
        }
        meter.is_amid()
    };
    assert!(!amid(b""));
    assert!(amid(b"\x81"));
    assert!(amid(b"\x81\0\0\0\0"));
    assert!(!amid(b"x"));
    assert!(amid(&frame(0x01, b"begun")));
    assert!(amid(&frame(0x89, b"between")));
    assert!(!amid(&frame(0x80, b"done")));
}

proptest! {
    #[test]
    fn where_the_bytes_are_cut_changes_nothing(
        frames in prop::collection::vec(
            (prop::sample::select(vec![0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8a, 0xc1, 0x83]), 0..310_usize),
            0..8,
        ),
        cuts in prop::collection::vec(0..2500_usize, 0..12),
    ) {
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|(first, length)| {
                let most = if first & 0x08 == 0 { 310 } else { 126 };
                frame(*first, &vec![5; *length % most])
            })
            .collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(bytes.len())).collect();
        cuts.sort_unstable();
        let whole = found(&bytes, &[]);
        let cut = found(&bytes, &cuts);
        // Of a frame that is refused, the bytes of its head may have gone by.
        if whole.refused.is_none() {
            prop_assert_eq!(&whole, &cut);
        }
        prop_assert_eq!(whole.refused, cut.refused);
        prop_assert_eq!(whole.pings, cut.pings);
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let every: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(found(&bytes, &[]).refused, found(&bytes, &every).refused);
    }
}
