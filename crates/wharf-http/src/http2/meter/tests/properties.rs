use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::http2::oracle::{Script, Side, check, play};

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Headers),
        4 => Just(Kind::Data),
        2 => Just(Kind::Continuation),
        2 => Just(Kind::Reset),
        2 => Just(Kind::Settings),
        1 => Just(Kind::Ping),
        1 => Just(Kind::WindowUpdate),
        1 => Just(Kind::GoAway),
        1 => Just(Kind::Priority),
        1 => Just(Kind::PushPromise),
        1 => (11..=255_u8).prop_map(|code| {
            FrameHeader::parse(&[0, 0, 0, code, 0, 0, 0, 0, 0]).kind
        }),
    ]
}

/// Frames that are often such as peers send, and sometimes cut or nonsense.
fn speech() -> impl Strategy<Value = (Side, Vec<u8>)> {
    let flags = prop_oneof![
        Just(0),
        Just(END_STREAM),
        Just(END_HEADERS),
        Just(END_HEADERS | END_STREAM),
        any::<u8>(),
    ];
    let stream = prop_oneof![4 => 0..12_u32, 1 => any::<u32>().prop_map(|it| it & 0x7fff_ffff)];
    let payload = prop_oneof![
        vec(any::<u8>(), 0..40),
        Just(vec![0, 4, 0, 1, 0, 0, 0, 3, 0, 0, 0, 100]),
        Just(vec![2, b'h', b'i', 0, 0]),
        vec(Just(0), 4..=8_usize),
    ];
    let whole = (any_kind(), flags, stream, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload));
    let bytes = prop_oneof![
        20 => vec(whole, 0..6).prop_map(|frames| frames.concat()),
        1 => vec(any::<u8>(), 0..30),
    ];
    let side = prop_oneof![2 => Just(Side::Client), 1 => Just(Side::Server)];
    (side, bytes)
}

fn script() -> impl Strategy<Value = Script> {
    (any::<bool>(), vec(speech(), 0..20)).prop_map(|(opened, mut script)| {
        if opened {
            script.insert(0, (Side::Client, PREFACE.to_vec()));
        }
        script
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..Default::default() })]

    #[test]
    fn where_the_bytes_are_cut_changes_nothing(script in script(), step in 1..50_usize) {
        let limits = Limits::default();
        let whole = play(&limits, &script, usize::MAX);
        prop_assert_eq!(&whole, &play(&limits, &script, step));
        prop_assert_eq!(&whole, &play(&limits, &script, 1));
    }

    #[test]
    fn a_reader_that_keeps_everything_sees_the_same(script in script(), step in 1..50_usize) {
        check(&script, &play(&Limits::default(), &script, step));
    }

    #[test]
    fn any_bytes_are_borne(bytes in vec(any::<u8>(), 0..200), step in 1..20_usize) {
        let script = vec![(Side::Client, PREFACE.to_vec()), (Side::Client, bytes.clone()), (Side::Server, bytes)];
        check(&script, &play(&Limits::default(), &script, step));
    }
}
