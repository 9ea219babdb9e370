use proptest::collection::vec;
use proptest::prelude::*;

use super::{Frame, Step, Walk};
use crate::http2::meter::frame::FrameHeader;
use wharf_control::Timestamp;

/// All that is found in `bytes` cut into pieces of `step`, and whether it ends at a boundary.
fn steps(bytes: &[u8], step: usize) -> (Vec<Step>, bool) {
    let mut walk = Walk::new();
    let mut found = Vec::new();
    for mut piece in bytes.chunks(step) {
        while let Some(step) = walk.step(&mut piece, Timestamp::ZERO) {
            found.push(step);
        }
        assert!(piece.is_empty());
    }
    (found, walk.at_boundary())
}

fn content(flags: u8, kind: u8, payload: &[u8]) -> u32 {
    let length = u8::try_from(payload.len()).expect("short");
    let bytes = [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat();
    match steps(&bytes, 3).0[..] {
        [Step::Frame(frame)] => frame.content(),
        ref other => panic!("not one frame: {other:?}"),
    }
}

#[test]
fn content_is_without_padding_and_priority() {
    assert_eq!(content(0, 0, b"abc"), 3);
    assert_eq!(content(8, 0, b"\x02abc\0\0"), 3);
    assert_eq!(content(8, 0, b"\x00"), 0);
    assert_eq!(content(8, 0, b""), 0);
    assert_eq!(content(8, 0, b"\xffabc"), 0);
    assert_eq!(content(0x28, 1, b"\x0112345ab\0"), 2);
    assert_eq!(content(0x20, 1, b"1234"), 0);
    assert_eq!(content(8, 9, b"\x01ab"), 3);
    assert_eq!(content(0, 6, b"12345678"), 0);
}

#[test]
fn the_entries_of_settings_come_before_the_frame() {
    let bytes = b"\0\0\x0c\x04\0\0\0\0\0\0\x04\0\0\0\x07\0\x01\0\0\x10\0";
    for step in 1..=bytes.len() {
        let (found, boundary) = steps(bytes, step);
        assert!(boundary);
        assert_eq!(found[0], Step::Setting { id: 4, value: 7 });
        assert_eq!(found[1], Step::Setting { id: 1, value: 4096 });
        assert!(matches!(found[2], Step::Frame(_)));
        assert_eq!(found.len(), 3);
    }
}

#[test]
fn a_piece_of_an_entry_is_no_entry() {
    let (found, boundary) = steps(b"\0\0\x05\x04\0\0\0\0\0\0\x04\0\0\0", 2);
    assert!(boundary);
    assert!(matches!(found[..], [Step::Frame(_)]));
}

proptest! {
    #[test]
    fn frames_are_found_in_whatever_pieces_they_come(
        frames in vec((0..20_u8, any::<u8>(), any::<u32>(), vec(any::<u8>(), 0..40)), 0..10),
        step in 1..80_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        let mut expected = Vec::new();
        for (kind, flags, stream, payload) in &frames {
            let length = u32::try_from(payload.len()).expect("short");
            bytes.extend_from_slice(&length.to_be_bytes()[1..]);
            bytes.extend_from_slice(&[*kind, *flags]);
            bytes.extend_from_slice(&stream.to_be_bytes());
            bytes.extend_from_slice(payload);
            ends.push(bytes.len());
            if *kind == 4 && flags & 1 == 0 {
                expected.extend(payload.chunks_exact(6).map(|entry| Step::Setting {
                    id: u16::from_be_bytes([entry[0], entry[1]]),
                    value: u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]),
                }));
            }
            let mut prefix = [0; 8];
            let known = payload.len().min(8);
            prefix[..known].copy_from_slice(&payload[..known]);
            let start = &bytes[bytes.len() - payload.len() - 9..];
            let header = FrameHeader::parse(start.first_chunk().expect("nine"));
            expected.push(Step::Frame(Frame { header, prefix }));
        }
        let (mut found, boundary) = steps(&bytes, step);
        // The start of SETTINGS is its entries, and is told as such.
        for step in found.iter_mut().chain(&mut expected) {
            if let Step::Frame(frame) = step && frame.header.has_entries() {
                frame.prefix = [0; 8];
            }
        }
        prop_assert_eq!(found, expected);
        prop_assert!(boundary);
        let cut = cut.index(bytes.len() + 1);
        prop_assert_eq!(steps(&bytes[..cut], step).1, ends.contains(&cut));
    }
}
