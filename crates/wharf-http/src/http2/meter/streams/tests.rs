use std::collections::HashMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Full, Stream, Streams};
use wharf_control::Timestamp;

const NOW: Timestamp = Timestamp::ZERO;

impl Streams {
    fn get(&self, number: u32) -> Option<Stream> {
        self.find(number).map(|at| self.slots[at])
    }
}

fn peer_has_ended(stream: Stream) -> bool {
    stream.sides & Stream::PEER_ENDED != 0
}

#[test]
fn a_stream_is_open_until_both_sides_have_ended() {
    let mut streams = Streams::new(10);
    streams.open_stream(1, NOW).expect("room");
    streams.end_of_ours(1);
    assert!(streams.get(1).is_some_and(|it| !peer_has_ended(it)));
    streams.end_of_peer(1);
    assert_eq!((streams.get(1), streams.open()), (None, 0));
}

#[test]
fn only_the_first_answer_is_news() {
    let mut streams = Streams::new(10);
    assert!(!streams.answer(1));
    streams.open_stream(1, NOW).expect("room");
    assert!(streams.answer(1));
    assert!(!streams.answer(1));
}

#[test]
fn a_full_table_takes_nothing_and_loses_nothing() {
    let mut streams = Streams::new(3);
    for number in [1, 3, 5] {
        streams.open_stream(number, NOW).expect("room");
    }
    assert_eq!(streams.open_stream(7, NOW), Err(Full));
    assert_eq!(streams.open(), 3);
    assert!(streams.close(3).is_some());
    assert_eq!(streams.open_stream(7, NOW), Ok(()));
}

#[test]
fn the_age_survives_the_turn_of_its_circle() {
    let mut streams = Streams::new(1);
    let late = Timestamp::after_start(Duration::from_millis(u64::from(u32::MAX) - 10));
    streams.open_stream(1, late).expect("room");
    let stream = streams.get(1).expect("open");
    assert_eq!(stream.age_ms(late.after(Duration::from_millis(50))), 50);
}

proptest! {
    #[test]
    fn the_table_is_a_map(
        steps in vec((0..4_u8, prop_oneof![0..64_u32, (0..8_u32).prop_map(|n| n << 7), any::<u32>()]), 0..400),
    ) {
        let mut streams = Streams::new(50);
        let mut map: HashMap<u32, [bool; 2]> = HashMap::new();
        for (step, number) in steps {
            let number = number | 1;
            match step {
                0 if !map.contains_key(&number) => {
                    let full = map.len() == 50;
                    prop_assert_eq!(streams.open_stream(number, NOW).is_err(), full);
                    if !full {
                        map.insert(number, [false; 2]);
                    }
                }
                1 => {
                    streams.end_of_peer(number);
                    end(&mut map, number, 0);
                }
                2 => {
                    streams.end_of_ours(number);
                    end(&mut map, number, 1);
                }
                _ => {
                    let closed = streams.close(number).is_some();
                    prop_assert_eq!(closed, map.remove(&number).is_some());
                }
            }
            prop_assert_eq!(streams.open() as usize, map.len());
            for (&number, ended) in &map {
                let found = streams.get(number).map(peer_has_ended);
                prop_assert_eq!(found, Some(ended[0]));
            }
        }
    }
}

fn end(map: &mut HashMap<u32, [bool; 2]>, number: u32, side: usize) {
    if let Some(ended) = map.get_mut(&number) {
        ended[side] = true;
        if *ended == [true; 2] {
            map.remove(&number);
        }
    }
}
