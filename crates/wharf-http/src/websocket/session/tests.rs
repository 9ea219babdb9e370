use wharf_control::Wait;
use wharf_pool::config::PoolConfig;
use wharf_pool::{PoolName, Registry, ScopeLimits};

use super::*;
use crate::connection::HttpConnection;
use crate::protocol::Protocol;
use crate::settings::{ProtocolSettings, WebSocketSettings};

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u32) -> Timestamp {
    Timestamp::after_start(SECOND * seconds)
}

/// A session whose handshake has been answered.
fn opened() -> Session {
    opened_with(WebSocketSettings::default())
}

fn opened_with(settings: WebSocketSettings) -> Session {
    let mut config: PoolConfig<ProtocolSettings> = Protocol::WebSocket.defaults();
    config.protocol = settings.into();
    let registry = Registry::<HttpConnection>::new(ScopeLimits::default());
    let name: PoolName = "test/websocket".parse().unwrap();
    let pool = registry.get_or_create(&name, config).unwrap();
    let mut session = Session::new(Settings::of(&pool, false), at(0));
    assert_eq!(session.next_word(Waiting::Nothing, at(0)), None);
    session.sent(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", at(0));
    session
}

fn due(session: &Session) -> (Wait, u64) {
    let deadline = session.deadline(false).unwrap();
    (deadline.wait, deadline.at.as_nanos() / 1_000_000_000)
}

#[test]
fn what_is_waited_for_follows_from_what_was_said() {
    let mut session = opened();
    assert_eq!(due(&session), (Wait::Sign, 30));
    session.ask();
    let ping = session.next_word(Waiting::Nothing, at(30)).unwrap();
    assert_eq!(ping[..6], *b"\x89\x08whrf");
    assert_eq!(due(&session), (Wait::Pong, 40));
    session.received(b"\x82", at(35));
    assert_eq!(due(&session), (Wait::Sign, 65));
    assert!(session.waits().is_more_than(Waits::default()));
    // Pings keep it alive, and bring no message to its end.
    let mut session = opened_with(WebSocketSettings {
        ping_interval: None,
        ..WebSocketSettings::default()
    });
    session.received(b"\x82\x81\0\0\0\0", at(40));
    assert_eq!(due(&session), (Wait::Peer, 100));
    session.received(b"x", at(99));
    assert_eq!(due(&session), (Wait::NextRequest, 99 + 3600));
    session.leave(CloseReason::MaxAge, at(100));
    assert_eq!(due(&session), (Wait::Acknowledgement, 103));
}

#[test]
fn words_wait_for_the_end_of_a_frame_and_a_close_is_the_last() {
    let mut session = opened();
    session.sent(b"\x81\x05he", at(1));
    session.ask();
    session.received(b"\x89\x80\0\0\0\0", at(1));
    session.leave(CloseReason::Drained, at(1));
    assert!(session.has_word() && session.next_word(Waiting::Nothing, at(1)).is_none());
    assert_eq!(session.room(b"llo\x81\x00"), 3);
    session.sent(b"llo", at(1));
    assert_eq!(
        session.next_word(Waiting::Nothing, at(1)).unwrap(),
        b"\x8a\x00"
    );
    assert_eq!(
        session.next_word(Waiting::Nothing, at(1)).unwrap(),
        b"\x88\x02\x03\xe9"
    );
    assert!(session.is_mute() && !session.is_over());
    assert_eq!(session.next_word(Waiting::Nothing, at(1)), None);
    assert!(!session.has_word());
    session.received(b"\x88\x80\0\0\0\0", at(2));
    assert!(session.is_over());
    assert_eq!(session.reason(), Some(CloseReason::Drained));
}

#[test]
fn only_pongs_that_answer_us_are_kept_from_the_handler() {
    let mut session = opened();
    session.ask();
    let asked = session.next_word(Waiting::Nothing, at(1)).unwrap();
    let pong = [&b"\x8a\x88\0\0\0\0"[..], &asked[2..]].concat();
    let passed = session.received(&pong, at(1));
    assert!(passed.in_place == 0 && passed.behind.is_empty());
    session.ask();
    assert!(session.next_word(Waiting::Nothing, at(2)).is_some());
    let passed = session.received(&pong, at(2));
    assert_eq!(passed.behind, pong, "it answers an older one");
}

#[test]
fn a_clients_close_is_answered_once_with_its_own_code() {
    let close = b"\x88\x82\0\0\0\0\x0f\xa0";
    let mut session = opened();
    let passed = session.received(close, at(1));
    assert_eq!(passed.in_place, close.len());
    assert!(session.answer_for_handler(at(4)) && !session.answer_for_handler(at(4)));
    assert_eq!(
        session.next_word(Waiting::Nothing, at(4)).unwrap(),
        b"\x88\x02\x0f\xa0"
    );
    assert_eq!(session.reason(), Some(CloseReason::ClientClosed));

    let mut session = opened();
    // 1005 is for those who look at it from outside.
    session.received(b"\x88\x82\0\0\0\0\x03\xed", at(1));
    session.handler_left(false, at(1));
    assert_eq!(
        session.next_word(Waiting::Nothing, at(1)).unwrap(),
        b"\x88\x00"
    );

    let mut session = opened();
    session.received(close, at(1));
    session.sent(b"\x88\x02\x0f\xa0", at(1));
    assert!(session.is_over() && !session.answer_for_handler(at(4)));
}

#[test]
fn the_first_cause_of_an_end_is_its_reason() {
    let mut session = opened();
    session.sent(b"\x88\x00", at(1));
    session.received(b"\x81\x00", at(1));
    assert_eq!(session.reason(), Some(CloseReason::Completed));
    assert!(session.is_deaf());

    let mut session = opened();
    session.received(b"\x81\x00", at(1));
    session.handler_left(false, at(1));
    session.leave(CloseReason::Drained, at(1));
    assert_eq!(session.reason(), Some(CloseReason::ProtocolError));
    assert!(
        session
            .next_word(Waiting::Nothing, at(1))
            .unwrap()
            .starts_with(b"\x88\x17\x03\xeaa frame")
    );
}
