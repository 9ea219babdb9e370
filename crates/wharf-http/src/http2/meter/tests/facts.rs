use super::*;
use crate::http2::meter::frame::HEADER;

#[test]
fn the_opening_is_waited_for_step_by_step() {
    let mut connection = Connection::silent();
    assert_eq!(
        connection.meter.opening(),
        Some((Opening::Preface, Timestamp::ZERO))
    );
    connection.wait(10);
    connection.client(&PREFACE[..20]);
    assert!(!connection.meter.has_preface());
    connection.client(&PREFACE[20..]);
    assert!(connection.meter.has_preface());
    assert_eq!(
        connection.meter.opening(),
        Some((Opening::Settings, Timestamp::ZERO))
    );
    let sent = connection.now;
    connection.server(&frame(Kind::Settings, 0, 0, &[]));
    connection.wait(10);
    connection.client(&frame(Kind::Settings, 0, 0, &[]));
    assert!(connection.meter.has_settings() && !connection.meter.is_acknowledged());
    assert_eq!(
        connection.meter.opening(),
        Some((Opening::Acknowledgement, sent))
    );
    connection.client(&frame(Kind::Settings, ACK, 0, &[]));
    assert_eq!(connection.meter.opening(), None);
    assert!(connection.meter.is_acknowledged());
}

#[test]
fn later_settings_of_ours_are_waited_for_again() {
    let mut connection = Connection::open();
    connection.wait(10);
    let first = connection.now;
    connection.server(&frame(Kind::Settings, 0, 0, &[]));
    connection.wait(10);
    connection.server(&frame(Kind::Settings, 0, 0, &[]));
    connection.client(&frame(Kind::Settings, ACK, 0, &[]));
    assert_eq!(
        connection.meter.opening(),
        Some((Opening::Acknowledgement, first))
    );
    connection.client(&frame(Kind::Settings, ACK, 0, &[]));
    assert_eq!(connection.meter.opening(), None);
}

#[test]
fn what_is_no_preface_is_never_one() {
    let mut connection = Connection::silent();
    connection.client(b"PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n");
    connection.client(PREFACE);
    connection.client(&frame(Kind::Headers, END_HEADERS, 1, BLOCK));
    assert_eq!(connection.result, Ok(()));
    assert_eq!(
        connection.meter.opening(),
        Some((Opening::Preface, Timestamp::ZERO))
    );
    assert_eq!(connection.meter.tally(), Tally::default());
}

#[test]
fn a_header_block_is_owed_from_its_first_byte_to_its_last() {
    let mut connection = Connection::open();
    connection.wait(10);
    let begun = connection.now;
    let headers = frame(Kind::Headers, END_STREAM, 1, BLOCK);
    connection.client(&headers[..3]);
    assert_eq!(connection.meter.owed(), Some((Owed::Frame, begun)));
    for part in [&headers[3..HEADER], &headers[HEADER..]] {
        connection.wait(10);
        connection.client(part);
        assert_eq!(connection.meter.owed(), Some((Owed::HeaderBlock, begun)));
    }
    connection.wait(10);
    connection.client(&frame(Kind::Continuation, 0, 1, b"a"));
    assert_eq!(connection.meter.owed(), Some((Owed::HeaderBlock, begun)));
    assert_eq!(connection.meter.last_stream(), 0);
    connection.client(&frame(Kind::Continuation, END_HEADERS, 1, b"b"));
    assert_eq!(connection.meter.owed(), None);
    assert_eq!(connection.meter.last_stream(), 1);
    assert!(connection.meter.stream(1).is_some_and(Stream::is_asked));
}

#[test]
fn part_of_a_body_is_owed_as_data_and_counts_as_it_comes() {
    let mut connection = Connection::open();
    let stream = connection.ask(0);
    connection.wait(10);
    let data = frame(Kind::Data, FrameHeader::PADDED, stream, b"\x02hello\0\0");
    connection.client(&data[..HEADER + 3]);
    assert_eq!(connection.meter.owed(), Some((Owed::Data, connection.now)));
    assert_eq!(connection.meter.tally().data_received, 2);
    connection.client(&data[HEADER + 3..HEADER + 7]);
    assert_eq!(connection.meter.tally().data_received, 5);
    connection.client(&data[HEADER + 7..]);
    assert_eq!(connection.meter.owed(), None);
    assert_eq!(connection.meter.tally().data_received, 5);
}

#[test]
fn a_frame_fits_only_between_frames_and_not_before_our_settings() {
    let mut connection = Connection::silent();
    assert!(!connection.meter.at_boundary());
    let settings = frame(Kind::Settings, 0, 0, &[0; 12]);
    connection.server(&settings[..10]);
    assert!(!connection.meter.at_boundary());
    connection.server(&settings[10..]);
    assert!(connection.meter.at_boundary());
    connection.server(&frame(Kind::Headers, END_STREAM, 1, BLOCK));
    assert!(!connection.meter.at_boundary());
    connection.server(&frame(Kind::Continuation, 0, 1, BLOCK));
    assert!(!connection.meter.at_boundary());
    connection.server(&frame(Kind::Continuation, END_HEADERS, 1, &[]));
    assert!(connection.meter.at_boundary());
    let ping = connection.meter.ping();
    for byte in ping.as_bytes() {
        connection.server(&[*byte]);
    }
    assert!(connection.meter.at_boundary());
}

#[test]
fn our_pings_are_answered_once_and_hypers_are_its_own() {
    let mut connection = Connection::open();
    for _ in 0..500 {
        let (first, second) = (connection.meter.ping(), connection.meter.ping());
        connection.wait(1);
        let sent = connection.now;
        for ping in [&first, &second] {
            connection.server(ping.as_bytes());
            connection.wait(1);
        }
        connection.server(&frame(Kind::Ping, 0, 0, &[9; 8]));
        assert_eq!(connection.meter.unanswered_ping(), Some(sent));
        connection.client(&frame(Kind::Ping, ACK, 0, &[9; 8]));
        for ping in [first, second] {
            assert!(connection.meter.unanswered_ping().is_some());
            let content = &ping.as_bytes()[HEADER..];
            connection.client(&frame(Kind::Ping, ACK, 0, content));
        }
        assert_eq!(connection.meter.unanswered_ping(), None);
    }
    assert!(connection.is_fine());
}

#[test]
fn an_answer_to_a_ping_that_is_yet_to_come_is_none() {
    let mut connection = Connection::open();
    let future = frame(Kind::Ping, ACK, 0, b"whrf\0\0\0\x01");
    for _ in 0..101 {
        connection.client(&future);
    }
    assert_eq!(connection.result, Err(Http2Abuse::PingAckFlood));
}

#[test]
fn a_stream_tells_how_far_it_is() {
    let mut connection = Connection::open();
    let stream = connection.ask(0);
    let known = connection.meter.stream(stream).expect("open");
    assert!(!known.is_asked() && !known.is_answered());
    connection.server(&frame(Kind::Headers, END_HEADERS, stream, BLOCK));
    connection.client(&frame(Kind::Data, END_STREAM, stream, b"x"));
    let known = connection.meter.stream(stream).expect("open");
    assert!(known.is_asked() && known.is_answered());
    assert_eq!(connection.meter.open_streams(), 1);
    connection.server(&frame(
        Kind::Headers,
        END_HEADERS | END_STREAM,
        stream,
        BLOCK,
    ));
    assert_eq!(connection.meter.stream(stream), None);
    assert_eq!(connection.meter.open_streams(), 0);
    assert_eq!(connection.meter.tally().opened, 1);
}

#[test]
fn goodbyes_and_windows_are_noted() {
    let mut connection = Connection::open();
    assert_eq!(connection.meter.initial_window(), 65_535);
    connection.client(&frame(
        Kind::Settings,
        0,
        0,
        &[0, 4, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9],
    ));
    assert_eq!(connection.meter.initial_window(), 0);
    let half = &frame(Kind::Settings, 0, 0, &[0, 4, 0, 0, 0, 9, 0, 3, 0, 0, 0, 9])[..HEADER + 6];
    let mut partial = Connection::open();
    partial.client(half);
    assert_eq!(partial.meter.initial_window(), 65_535);
    connection.client(&frame(Kind::GoAway, 0, 0, &[0; 8]));
    assert!(connection.meter.is_leaving());
    assert_eq!(connection.meter.went_away(), None);
    let calm = Rendered::go_away(0, ErrorCode::ENHANCE_YOUR_CALM, "ping_flood");
    connection.server(calm.as_bytes());
    assert_eq!(
        connection.meter.went_away(),
        Some(ErrorCode::ENHANCE_YOUR_CALM)
    );
}

#[test]
fn a_refusal_is_settings_and_a_goodbye() {
    let mut connection = Connection::silent();
    connection.server(Rendered::refusal().as_bytes());
    assert!(connection.meter.at_boundary());
    assert_eq!(connection.meter.went_away(), Some(ErrorCode::NO_ERROR));
}
