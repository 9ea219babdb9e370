use super::*;

/// Repeats something until it is too much: how often it was borne, how often without a warning,
/// and what it was called.
fn until_abusive(
    mut connection: Connection,
    mut act: impl FnMut(&mut Connection),
) -> (u32, u32, Http2Abuse) {
    let (mut borne, mut fine) = (0, 0);
    loop {
        act(&mut connection);
        match connection.meter.standing() {
            Standing::Abusive(kind) => {
                let again = connection.meter.received(b"", connection.now);
                assert_eq!(again, Err(kind), "a verdict is final");
                return (borne, fine, kind);
            }
            Standing::Warned(_) => borne += 1,
            Standing::Fine => (borne, fine) = (borne + 1, fine + 1),
        }
        assert!(borne < 100_000, "never found");
    }
}

fn repeated(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> (u32, u32, Http2Abuse) {
    let bytes = frame(kind, flags, stream, payload);
    until_abusive(Connection::open(), |connection| connection.client(&bytes))
}

#[test]
fn each_flood_is_found_by_its_own_name_and_not_before() {
    use Http2Abuse as Is;
    // The first SETTINGS of a connection is one of the 200.
    for (kind, flags, stream, payload, borne, found) in [
        (Kind::Ping, 0, 0, &[0; 8][..], 1000, Is::PingFlood),
        (Kind::Ping, ACK, 0, &[0; 8], 100, Is::PingAckFlood),
        (Kind::Settings, 0, 0, &[], 199, Is::SettingsFlood),
        (Kind::Settings, 0, 0, &[0; 6 * 32], 99, Is::SettingsFlood),
        (Kind::Settings, ACK, 0, &[], 199, Is::SettingsFlood),
        (Kind::Priority, 0, 3, &[0; 5], 200, Is::PriorityFlood),
        (Kind::PriorityUpdate, 0, 0, &[0; 5], 200, Is::PriorityFlood),
        (
            Kind::WindowUpdate,
            0,
            0,
            &[0, 0, 0, 1],
            1000,
            Is::WindowUpdateFlood,
        ),
        (Kind::GoAway, 0, 0, &[0; 8], 100, Is::GoAwayFlood),
        (Kind::Unknown(0xfa), 0, 0, &[], 1000, Is::UnknownFlood),
        (Kind::PushPromise, 0, 1, &[0; 4], 1000, Is::UnknownFlood),
        (Kind::Reset, 0, 1, &[0; 4], 100, Is::ResetFlood),
        (Kind::Data, 0, 1, &[], 100, Is::TinyDataFlood),
        (Kind::Data, 8, 1, &[200; 201], 100, Is::TinyDataFlood),
        (Kind::Data, 0, 1, &[0], 10_000, Is::TinyDataFlood),
        (Kind::Continuation, 0, 1, &[], 100, Is::EmptyHeadersFlood),
        (Kind::Continuation, 0, 1, &[0], 128, Is::ContinuationFlood),
        (Kind::Unknown(0xfa), 0, 0, &[0; 16_374], 512, Is::Overhead),
    ] {
        let (times, fine, name) = repeated(kind, flags, stream, payload);
        assert_eq!(
            (times, name),
            (borne, found),
            "{kind:?} {flags} {}",
            payload.len()
        );
        assert!(fine < times, "{kind:?}: never warned");
    }
}

#[test]
fn headers_without_fields_are_found() {
    let found = until_abusive(Connection::open(), |connection| {
        let stream = connection.next;
        connection.next += 2;
        connection.client(&frame(Kind::Headers, END_HEADERS | END_STREAM, stream, &[]));
    });
    assert_eq!(found, (100, 74, Http2Abuse::EmptyHeadersFlood));
}

#[test]
fn a_thousand_requests_taken_back_in_one_segment_are_found_at_once() {
    let mut connection = Connection::open();
    let mut bytes = Vec::new();
    for stream in (1..2001).step_by(2) {
        bytes.extend(frame(
            Kind::Headers,
            END_HEADERS | END_STREAM,
            stream,
            BLOCK,
        ));
        bytes.extend(frame(Kind::Reset, 0, stream, &[0, 0, 0, 8]));
    }
    connection.client(&bytes);
    assert_eq!(connection.result, Err(Http2Abuse::RapidReset));
    assert_eq!(connection.meter.tally().opened, 101);
}

#[test]
fn requests_taken_back_one_by_one_are_found_by_150() {
    let (borne, fine, found) = until_abusive(Connection::open(), |connection| {
        let stream = connection.ask(END_STREAM);
        connection.wait(200);
        connection.reset(stream);
        connection.wait(200);
    });
    assert_eq!(found, Http2Abuse::RapidReset);
    assert!((76..150).contains(&borne), "{borne}");
    // The 75th is three quarters.
    assert!((74..100).contains(&fine), "{fine}");
}

#[test]
fn requests_taken_back_just_after_their_answers_are_found_by_150() {
    let (borne, _, found) = until_abusive(Connection::open(), |connection| {
        let stream = connection.call();
        connection.wait(200);
        connection.reset(stream);
    });
    assert_eq!(found, Http2Abuse::ResetFlood);
    assert!(borne < 150, "{borne}");
}

#[test]
fn two_thirds_taken_back_are_too_many_for_ever() {
    let (_, _, found) = until_abusive(Connection::open(), |connection| {
        connection.call();
        for _ in 0..2 {
            let stream = connection.ask(END_STREAM);
            connection.reset(stream);
        }
        connection.wait(1_000);
    });
    assert_eq!(found, Http2Abuse::RapidReset);
}

#[test]
fn resets_that_we_are_made_to_send_are_found_by_256() {
    for code in [
        ErrorCode::PROTOCOL_ERROR,
        ErrorCode::FLOW_CONTROL_ERROR,
        ErrorCode::STREAM_CLOSED,
        ErrorCode::FRAME_SIZE_ERROR,
    ] {
        let (borne, fine, found) = until_abusive(Connection::open(), |connection| {
            let stream = connection.ask(0);
            connection.update(stream);
            connection.server(&frame(Kind::Reset, 0, stream, &code.0.to_be_bytes()));
            connection.wait(500);
        });
        assert_eq!(found, Http2Abuse::MadeYouReset);
        assert!((200..256).contains(&borne) && fine < borne, "{borne}");
    }
}

#[test]
fn resets_of_our_own_accord_are_nobodys_fault() {
    let mut connection = Connection::open();
    for _ in 0..10_000 {
        let stream = connection.ask(END_STREAM);
        for code in [[0; 4], CANCEL, [0, 0, 0, 2]] {
            connection.server(&frame(Kind::Reset, 0, stream, &code));
        }
    }
    assert!(connection.is_fine());
}

#[test]
fn more_than_256_refused_streams_are_too_many() {
    let (borne, _, found) = until_abusive(Connection::open(), |connection| {
        let stream = connection.ask(END_STREAM);
        let code = ErrorCode::REFUSED_STREAM.0.to_be_bytes();
        connection.server(&frame(Kind::Reset, 0, stream, &code));
    });
    assert_eq!((borne, found), (256, Http2Abuse::RefusedStreams));
}

#[test]
fn streams_that_are_bound_to_be_refused_are_found_before_they_are() {
    let (borne, _, found) = until_abusive(Connection::open(), |connection| {
        connection.ask(END_STREAM);
    });
    assert_eq!((borne, found), (356, Http2Abuse::RefusedStreams));
}

#[test]
fn a_flood_after_much_honest_work_is_found_as_well() {
    let mut connection = Connection::open();
    for _ in 0..100_000 {
        connection.call();
    }
    connection.wait(60_000_000);
    let (borne, ..) = until_abusive(connection, Connection::ping);
    assert_eq!(borne, 1000);
}

#[test]
fn a_flood_that_keeps_just_over_its_rate_is_found() {
    let (_, _, found) = until_abusive(Connection::open(), |connection| {
        connection.ping();
        connection.wait(9_000);
    });
    assert_eq!(found, Http2Abuse::PingFlood);
}

#[test]
fn bytes_after_a_verdict_count_for_nothing() {
    let mut connection = Connection::open();
    while connection.result.is_ok() {
        connection.ping();
    }
    let before = connection.meter.tally();
    connection.call();
    assert_eq!(connection.result, Err(Http2Abuse::PingFlood));
    assert_eq!(connection.meter.tally().opened, before.opened);
}
