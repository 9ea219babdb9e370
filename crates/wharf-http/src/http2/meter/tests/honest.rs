//! What honest peers do, for minutes: never even a warning.

use super::*;

const SECOND: u64 = 1_000_000;

#[test]
fn a_probing_grpc_client_takes_a_gigabyte() {
    let mut connection = Connection::open();
    let stream = connection.ask(END_STREAM);
    connection.server(&frame(Kind::Headers, END_HEADERS, stream, BLOCK));
    let data = frame(Kind::Data, 0, stream, &[0; 16_384]);
    for n in 0..65_536 {
        connection.server(&data);
        connection.wait(16);
        connection.update(0);
        connection.update(stream);
        if n % 2 == 0 {
            connection.ping();
            connection.server(&frame(Kind::Ping, ACK, 0, &[0; 8]));
        }
        if n % 4_096 == 0 {
            connection.client(&frame(Kind::Settings, 0, 0, &[0, 4, 0, 1, 0, 0]));
        }
    }
    assert!(connection.is_fine());
}

#[test]
fn a_server_that_probes_gets_its_answers_through_a_gigabyte_of_upload() {
    let mut connection = Connection::open();
    let stream = connection.ask(0);
    let data = frame(Kind::Data, 0, stream, &[0; 16_384]);
    for n in 0..65_536 {
        connection.client(&data);
        connection.wait(16);
        if n % 2 == 0 {
            connection.server(&frame(Kind::Ping, 0, 0, &[7; 8]));
            connection.client(&frame(Kind::Ping, ACK, 0, &[7; 8]));
            connection.ping();
        }
    }
    assert!(connection.is_fine());
    assert_eq!(connection.meter.tally().data_received, 1 << 30);
}

#[test]
fn a_hundred_pings_a_second_are_borne_for_ten_minutes() {
    let mut connection = Connection::open();
    for _ in 0..60_000 {
        connection.ping();
        connection.wait(SECOND / 100);
    }
    assert!(connection.is_fine());
}

#[test]
fn a_ping_for_each_small_message_is_borne() {
    let mut connection = Connection::open();
    let stream = connection.ask(END_STREAM);
    connection.server(&frame(Kind::Headers, END_HEADERS, stream, BLOCK));
    for _ in 0..200_000 {
        connection.server(&frame(Kind::Data, 0, stream, &[0; 15]));
        connection.ping();
        connection.update(0);
        connection.wait(100);
    }
    assert!(connection.is_fine());
}

#[test]
fn three_hundred_requests_with_a_ping_for_each_third_are_borne() {
    let mut connection = Connection::open();
    for n in 0..300 {
        connection.call();
        if n % 3 == 0 {
            connection.ping();
        }
    }
    assert!(connection.is_fine());
}

#[test]
fn a_ping_with_each_request_is_borne_at_any_rate() {
    let mut connection = Connection::open();
    for _ in 0..100_000 {
        connection.call();
        connection.ping();
        connection.wait(20);
    }
    assert!(connection.is_fine());
}

#[test]
fn chrome_idles_prioritizes_and_greases() {
    let mut connection = Connection::open();
    connection.client(&frame(Kind::WindowUpdate, 0, 0, &[0, 0xef, 0, 1]));
    for _ in 0..20 {
        for _ in 0..100 {
            let stream = connection.next;
            connection.client(&frame(Kind::PriorityUpdate, 0, 0, b"\0\0\0\x01u=2, i"));
            connection.client(&frame(Kind::Unknown(0x4a), 0, stream, b"grease"));
            connection.call();
            connection.client(&frame(Kind::PriorityUpdate, 0, 0, b"\0\0\0\x01u=0"));
        }
        connection.wait(45 * SECOND);
        connection.ping();
    }
    assert!(connection.is_fine());
}

#[test]
fn a_tree_of_dependencies_at_the_start_is_borne() {
    let mut connection = Connection::open();
    for stream in [3, 5, 7, 9, 11] {
        connection.client(&frame(Kind::Priority, 0, stream, &[0, 0, 0, 0, 200]));
    }
    let flags = END_HEADERS | END_STREAM | FrameHeader::PRIORITY;
    for stream in (13..10_000).step_by(2) {
        connection.client(&frame(Kind::Headers, flags, stream, b"\0\0\0\x0b\x0f\x82"));
        connection.client(&frame(Kind::Priority, 0, stream, &[0, 0, 0, 3, 20]));
        connection.answer(stream, 100);
    }
    assert!(connection.is_fine());
}

#[test]
fn a_pair_of_updates_for_each_data_frame_is_borne_at_any_rate() {
    let mut connection = Connection::open();
    connection.client(&frame(Kind::WindowUpdate, 0, 0, &[0x3f, 0xff, 0, 1]));
    let stream = connection.ask(END_STREAM);
    connection.server(&frame(Kind::Headers, END_HEADERS, stream, BLOCK));
    let data = frame(Kind::Data, 0, stream, &[0; 16_384]);
    for _ in 0..65_536 {
        connection.server(&data);
        connection.update(0);
        connection.update(stream);
    }
    assert!(connection.is_fine());
    assert_eq!(connection.meter.tally().data_sent, 1 << 30);
}

#[test]
fn updates_for_every_kilobyte_of_large_frames_are_borne() {
    let mut connection = Connection::open();
    let stream = connection.ask(END_STREAM);
    let data = frame(Kind::Data, 0, stream, &vec![0; 1 << 20]);
    for _ in 0..500 {
        connection.server(&data);
        for _ in 0..1024 {
            connection.update(stream);
        }
    }
    assert!(connection.is_fine());
}

#[test]
fn an_upload_of_many_small_messages_is_borne() {
    for length in [5, 10, 15] {
        let mut connection = Connection::open();
        let stream = connection.ask(0);
        let message = frame(Kind::Data, 0, stream, &vec![0; length]);
        for _ in 0..200_000 {
            connection.client(&message);
        }
        connection.client(&frame(Kind::Data, END_STREAM, stream, &[]));
        assert!(connection.is_fine(), "{length}");
    }
}

#[test]
fn bodies_that_end_with_empty_data_are_borne() {
    let mut connection = Connection::open();
    for _ in 0..50_000 {
        let stream = connection.ask(0);
        connection.client(&frame(Kind::Data, 0, stream, &[0; 10]));
        connection.client(&frame(Kind::Data, END_STREAM, stream, &[]));
        connection.answer(stream, 10);
    }
    assert!(connection.is_fine());
}

#[test]
fn trailers_without_fields_are_borne() {
    let mut connection = Connection::open();
    for _ in 0..10_000 {
        let stream = connection.ask(0);
        connection.client(&frame(Kind::Headers, END_HEADERS | END_STREAM, stream, &[]));
        connection.answer(stream, 0);
    }
    assert!(connection.is_fine());
    assert_eq!(connection.meter.tally().open, 0);
}

#[test]
fn who_cancels_a_quarter_of_many_calls_is_never_warned() {
    for batch in [1, 10, 25] {
        let mut connection = Connection::open();
        for _ in 0..100_000 / (4 * batch) {
            for _ in 0..batch {
                let stream = connection.ask(END_STREAM);
                connection.wait(10);
                connection.reset(stream);
            }
            for _ in 0..3 * batch {
                connection.call();
            }
        }
        assert!(connection.is_fine(), "{batch}");
    }
}

#[test]
fn who_cancels_nearly_all_of_a_few_calls_is_not_warned() {
    let mut connection = Connection::open();
    for n in 0..50 {
        let stream = connection.ask(END_STREAM);
        if n == 0 {
            connection.answer(stream, 1);
        } else {
            connection.reset(stream);
        }
    }
    assert!(connection.is_fine());
}

#[test]
fn a_search_that_is_cancelled_with_each_letter_is_borne_for_an_hour() {
    let mut connection = Connection::open();
    for _ in 0..3_600 * 6 {
        let stream = connection.ask(END_STREAM);
        connection.wait(SECOND / 6);
        connection.reset(stream);
    }
    assert!(connection.is_fine());
}

#[test]
fn calls_that_run_into_their_deadlines_are_borne() {
    let mut connection = Connection::open();
    for _ in 0..600 {
        let streams: Vec<_> = (0..100).map(|_| connection.ask(END_STREAM)).collect();
        connection.wait(SECOND / 4);
        for stream in streams {
            connection.reset(stream);
        }
    }
    assert!(connection.is_fine());
}

#[test]
fn answers_that_are_dropped_unread_are_borne() {
    let mut connection = Connection::open();
    for _ in 0..100_000 {
        let stream = connection.ask(END_STREAM);
        connection.server(&frame(Kind::Headers, END_HEADERS, stream, BLOCK));
        connection.reset(stream);
    }
    assert!(connection.is_fine());
}

#[test]
fn cancelling_as_the_answer_ends_is_borne_one_time_in_four() {
    let mut connection = Connection::open();
    for n in 0..100_000 {
        let stream = connection.call();
        if n % 4 == 0 {
            connection.reset(stream);
        }
    }
    assert!(connection.is_fine());
}

#[test]
fn two_hundred_requests_before_the_limit_is_known_are_borne() {
    let mut connection = Connection::silent();
    connection.client(PREFACE);
    connection.client(&frame(Kind::Settings, 0, 0, &[]));
    let streams: Vec<_> = (0..200).map(|_| connection.ask(END_STREAM)).collect();
    connection.server(&frame(Kind::Settings, 0, 0, &[]));
    for stream in &streams[100..] {
        connection.server(&frame(Kind::Reset, 0, *stream, &[0, 0, 0, 7]));
    }
    assert!(connection.is_fine());
    assert_eq!(connection.meter.tally().open, 100);
}

#[test]
fn an_idle_connection_that_pings_for_a_hundred_days_is_borne() {
    let mut connection = Connection::open();
    for _ in 0..100 * 24 * 360 {
        connection.ping();
        connection.wait(10 * SECOND);
    }
    assert!(connection.is_fine());
}
