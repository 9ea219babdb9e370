use proptest::collection::vec;
use proptest::prelude::*;

use super::{Frame, Walk};
use crate::http2::meter::frame::FrameHeader;
use wharf_control::Timestamp;

/// All that is found in `bytes` cut into pieces of `step`, and whether it ends at a boundary.
fn steps(bytes: &[u8], step: usize) -> (Vec<Frame>, bool) {
    let mut walk = Walk::new();
    let mut found = Vec::new();
    for mut piece in bytes.chunks(step) {
        while let Some(frame) = walk.step(&mut piece, Timestamp::ZERO) {
            found.push(frame);
        }
        assert!(piece.is_empty());
    }
    (found, walk.at_boundary())
}

fn content(flags: u8, kind: u8, payload: &[u8]) -> u32 {
    let length = u8::try_from(payload.len()).expect("short");
    let bytes = [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat();
    match steps(&bytes, 3).0[..] {
        [frame] => frame.content(),
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
            let mut prefix = [0; 4];
            let known = payload.len().min(4);
            prefix[..known].copy_from_slice(&payload[..known]);
            let start = &bytes[bytes.len() - payload.len() - 9..];
            let header = FrameHeader::parse(start.first_chunk().expect("nine"));
            expected.push(Frame { header, prefix });
        }
        let (found, boundary) = steps(&bytes, step);
        prop_assert_eq!(found, expected);
        prop_assert!(boundary);
        let cut = cut.index(bytes.len() + 1);
        prop_assert_eq!(steps(&bytes[..cut], step).1, ends.contains(&cut));
    }
}
