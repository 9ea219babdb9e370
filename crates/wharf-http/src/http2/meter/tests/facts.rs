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
    connection.client(&PREFACE[20..]);
    assert!(!connection.meter.has_settings());
    assert_eq!(
        connection.meter.opening(),
        Some((Opening::Settings, Timestamp::ZERO))
    );
    let sent = connection.now;
    connection.server(&frame(Kind::Settings, 0, 0, &[]));
    connection.wait(10);
    connection.client(&frame(Kind::Settings, 0, 0, &[]));
    assert!(connection.meter.has_settings());
    assert_eq!(
        connection.meter.opening(),
        Some((Opening::Acknowledgement, sent))
    );
    connection.client(&frame(Kind::Settings, ACK, 0, &[]));
    assert_eq!(connection.meter.opening(), None);
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
    assert_eq!(connection.meter.tally().last_stream, 0);
    connection.client(&frame(Kind::Continuation, END_HEADERS, 1, b"b"));
    assert_eq!(connection.meter.owed(), None);
    assert_eq!(connection.meter.tally().last_stream, 1);
    connection.answer(1, 0);
    assert_eq!(connection.meter.tally().open, 0, "it was asked to its end");
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
fn a_ping_is_answered_once() {
    let mut connection = Connection::open();
    for _ in 0..500 {
        for content in 0..2 {
            connection.server(&frame(Kind::Ping, 0, 0, &[content; 8]));
        }
        for content in 0..2 {
            connection.client(&frame(Kind::Ping, ACK, 0, &[content; 8]));
        }
    }
    assert!(connection.is_fine());
    for _ in 0..101 {
        connection.client(&frame(Kind::Ping, ACK, 0, &[0; 8]));
    }
    assert_eq!(connection.result, Err(Http2Abuse::PingAckFlood));
}

#[test]
fn a_stream_is_open_until_both_sides_have_ended_it() {
    let mut connection = Connection::open();
    let stream = connection.ask(0);
    connection.server(&frame(Kind::Headers, END_HEADERS, stream, BLOCK));
    connection.client(&frame(Kind::Data, END_STREAM, stream, b"x"));
    assert_eq!(connection.meter.tally().open, 1);
    let trailers = frame(Kind::Headers, END_HEADERS | END_STREAM, stream, BLOCK);
    connection.server(&trailers);
    assert_eq!(connection.meter.tally().open, 0);
    assert_eq!(connection.meter.tally().opened, 1);
}
