//! WebSocket sessions of handlers of our own: on streams of HTTP/2 (RFC 8441), and beside them on
//! connections of HTTP/1.

use h2::Reason;
use h2::ext::Protocol as Spoken;
use http::{HeaderMap, StatusCode};
use wharf_testkit::websocket::{
    BINARY, CLOSE, PING, PONG, Session, Stream, TEXT, close, connect, hostile, masked,
};

use super::*;
use crate::settings::WebSocketSettings;
use crate::websocket::SlowConsumer;

/// A listener that has sessions, with the defaults changed.
fn port(change: impl FnOnce(&mut CommonSettings, &mut WebSocketSettings)) -> Port {
    let mut common = Protocol::WebSocket.defaults().common;
    let mut own = WebSocketSettings::default();
    change(&mut common, &mut own);
    let sessions = (Protocol::WebSocket, PoolConfig::new(common, own.into()));
    Port::of([http1(), http2(|_, _| {}), sessions])
}

/// The handshake for a handler.
fn handshake(handler: &str) -> Request<()> {
    let mut request = connect(&format!("/{handler}"));
    let fields = request.headers_mut();
    fields.insert("sec-websocket-protocol", "one, two".parse().unwrap());
    request
}

async fn open(client: &Client, handler: &str) -> Stream {
    Stream::open(client, handshake(handler)).await
}

/// Sessions on streams, connections that are sessions, connections that carry them.
fn counts(port: &Port) -> (u32, u32, u32) {
    let occupancy = port.pool(Protocol::WebSocket).occupancy();
    (
        occupancy.berths,
        occupancy.active,
        port.active(Protocol::Http2),
    )
}

async fn settled(port: &Port, wanted: (u32, u32, u32)) {
    for _ in 0..100 {
        if counts(port) == wanted {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(counts(port), wanted);
}

#[tokio::test(start_paused = true)]
async fn sessions_and_requests_share_a_connection() {
    let mut port = port(|_, _| {});
    let client = port.client().await;
    let mut one = open(&client, "ws-echo").await;
    assert_eq!(one.fields["sec-websocket-protocol"], "two");
    assert!(!one.fields.contains_key("content-length"));
    let mut other = open(&client, "ws-halves").await;
    assert_eq!(counts(&port), (2, 0, 1));
    let in_flight = |port: &Port| port.pool(Protocol::WebSocket).metrics().in_flight;
    assert_eq!(in_flight(&port), 2);
    one.say(TEXT, b"to one").await;
    other.say(TEXT, b"to the other").await;
    assert_eq!(one.hear().await, Some((TEXT, b"to one".to_vec())));
    assert_eq!(other.hear().await, Some((TEXT, b"to the other".to_vec())));
    one.say(PING, b"there?").await;
    assert_eq!(one.hear().await, Some((PONG, b"there?".to_vec())));
    assert_eq!(client.get("/early").await.unwrap().text(), "early");
    one.say(CLOSE, b"\x0f\xa0bye").await;
    assert_eq!(one.hear().await, Some(close(4000, "bye")));
    assert_eq!(one.end().await, None);
    settled(&port, (1, 0, 1)).await;
    drop((client, one, other));
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
    assert_eq!(counts(&port), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_told_of_sessions_has_none() {
    let port = port(|_, own| own.over_http2 = false);
    let client = port.client().await;
    let begun = client.begin(handshake("ws-echo"), false).await;
    let refused = begun.unwrap().response.await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::PROTOCOL_ERROR));
    assert_eq!(counts(&port), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_session_is_told_and_the_connection_goes_on() {
    let port = port(|common, own| {
        common.max_connections = wharf_pool::config::Count::new(1);
        own.allowed_origins = crate::websocket::Origins::Only(vec!["https://a.example".to_owned()]);
    });
    let client = port.client().await;
    let refused = async |change: fn(&mut HeaderMap)| {
        let mut request = handshake("ws-echo");
        change(request.headers_mut());
        let begun = client.begin(request, false).await.unwrap();
        begun.response.await.unwrap()
    };
    let answer = refused(|fields| drop(fields.insert("origin", "https://b".parse().unwrap())));
    assert_eq!(answer.await.status(), StatusCode::FORBIDDEN);
    let old = |fields: &mut HeaderMap| {
        fields.insert("sec-websocket-version", "8".parse().unwrap());
    };
    let answer = refused(old).await;
    assert_eq!(answer.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(answer.headers()["sec-websocket-version"], "13");
    let session = open(&client, "ws-echo").await;
    let answer = refused(|_| {}).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    drop(session);
    settled(&port, (0, 0, 1)).await;
    // A handler that answers otherwise gives the place back.
    let mut request = handshake("early");
    let answer = client.begin(request, true).await.unwrap().whole().await;
    assert_eq!(answer.unwrap().status, StatusCode::OK);
    settled(&port, (0, 0, 1)).await;
    let other = Spoken::from_static("connect-udp");
    request = handshake("ws-echo");
    request.extensions_mut().insert(other);
    let answer = client.begin(request, true).await.unwrap().whole().await;
    assert_eq!(answer.unwrap().status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(client.get("/early").await.unwrap().text(), "early");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_asked_and_its_stream_given_up() {
    let port = port(|_, _| {});
    let client = port.client().await;
    let mut session = open(&client, "ws-echo").await;
    let begun = Instant::now();
    assert_eq!(session.hear().await.unwrap().0, PING);
    took(begun, 30 * SECOND);
    session.say(TEXT, b"here").await;
    assert_eq!(session.hear().await.unwrap().0, TEXT);
    let begun = Instant::now();
    assert_eq!(session.hear().await.unwrap().0, PING);
    took(begun, 30 * SECOND);
    let begun = Instant::now();
    assert_eq!(session.end().await, Some(Reason::CANCEL));
    took(begun, 10 * SECOND);
    settled(&port, (0, 0, 1)).await;
    assert_eq!(client.get("/early").await.unwrap().text(), "early");
}

#[tokio::test(start_paused = true)]
async fn idle_and_old_sessions_are_told_and_who_does_not_answer_is_left() {
    let old = |common: &mut CommonSettings, own: &mut WebSocketSettings| {
        common.max_age = Some(100 * SECOND);
        own.ping_interval = None;
    };
    let idle = |common: &mut CommonSettings, own: &mut WebSocketSettings| {
        common.keep_alive_timeout = 100 * SECOND;
        own.ping_interval = None;
    };
    let settings: [fn(&mut CommonSettings, &mut WebSocketSettings); 2] = [old, idle];
    for (change, answers) in settings.into_iter().zip([true, false]) {
        let port = port(change);
        let client = port.client().await;
        let mut session = open(&client, "ws-echo").await;
        let begun = Instant::now();
        assert_eq!(session.hear().await, Some(close(1001, "")));
        assert!((90 * SECOND..111 * SECOND).contains(&begun.elapsed()));
        let begun = Instant::now();
        if answers {
            session.say(CLOSE, b"\x03\xe9").await;
        }
        assert_eq!(session.end().await, None);
        if answers {
            assert!(begun.elapsed() < SECOND);
        } else {
            took(begun, 3 * SECOND);
        }
        settled(&port, (0, 0, 1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_tells_sessions_and_waits_for_their_answers() {
    let mut port = port(|_, _| {});
    let client = port.client().await;
    let mut session = open(&client, "ws-echo").await;
    let leaving = async {
        assert_eq!(session.hear().await, Some(close(1001, "")));
        session.say(CLOSE, b"\x03\xe9").await;
        assert_eq!(session.end().await, None);
    };
    let (report, ()) = tokio::join!(port.drain(crate::DrainSettings::default()), leaving);
    assert_eq!((report.finished, report.cut), (1, 0));
    assert!(report.took < 3 * SECOND, "{:?}", report.took);
    drop(session);
    assert_eq!(port.end_of_only().await, CloseReason::Drained);
}

#[tokio::test(start_paused = true)]
async fn each_end_has_its_code() {
    let port = port(|_, _| {});
    let client = port.client().await;
    for (handler, code, why) in [("ws-leave", 1000, ""), ("ws-panic", 1011, "")] {
        let mut session = open(&client, handler).await;
        assert_eq!(session.hear().await, Some(close(code, why)), "{handler}");
        session.say(CLOSE, &code.to_be_bytes()).await;
        assert_eq!(session.end().await, None);
    }
    let mut session = open(&client, "ws-close").await;
    assert_eq!(session.hear().await, Some((TEXT, b"last words".to_vec())));
    assert_eq!(session.hear().await, Some(close(4000, "bye")));
    session.say(CLOSE, b"\x0f\xa0").await;
    assert_eq!(session.end().await, None);
    let rules = [
        (hostile::unmasked(TEXT, b""), 1002, "a frame is not masked"),
        (masked(TEXT, b"\xff"), 1007, "the text is not UTF-8"),
        (masked(CLOSE, b"\x03"), 1002, "the Close is malformed"),
        (
            hostile::announced(BINARY, 1 << 20),
            1009,
            "the frame is too large",
        ),
    ];
    for (bytes, code, why) in rules {
        let mut session = open(&client, "ws-echo").await;
        session.send(bytes).await;
        assert_eq!(session.hear().await, Some(close(code, why)));
        assert_eq!(session.end().await, None, "{why}");
    }
    settled(&port, (0, 0, 1)).await;
    assert_eq!(port.in_flight(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_without_room_is_left_and_its_connection_goes_on() {
    let port = port(|_, own| own.ping_interval = None);
    let client = port.client().await;
    let begun = Instant::now();
    let mut slow = open(&client, "ws-flood").await;
    // It has taken a window full, and gives no more room.
    sleep(SECOND).await;
    assert_eq!(slow.end().await, Some(Reason::CANCEL));
    took(begun, 3 * SECOND);
    // Gone, it gives back what it has taken of the connection's window.
    drop(slow);
    settled(&port, (0, 0, 1)).await;
    assert_eq!(client.get("/early").await.unwrap().text(), "early");
}

#[tokio::test(start_paused = true)]
async fn other_handlers_have_two_bodies_and_an_age() {
    let port = port(|common, _| common.max_age = Some(100 * SECOND));
    let client = port.client().await;
    let mut tunnel = open(&client, "tunnel").await;
    assert_eq!(counts(&port), (1, 0, 1));
    let begun = Instant::now();
    tunnel.send("any").await;
    assert_eq!(tunnel.data().await.unwrap().unwrap(), "any");
    assert_eq!(tunnel.end().await, Some(Reason::CANCEL));
    took(begun, 100 * SECOND);
    settled(&port, (0, 0, 1)).await;
}

/// A session of HTTP/1 with the same application.
async fn over_http1(port: &Port, handler: &str, room: usize) -> Session<DuplexStream> {
    let session = Session::open(port.connect_over(room), &format!("/{handler}")).await;
    let accepted = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    assert!(session.head.contains(accepted), "{}", session.head);
    session
}

#[tokio::test(start_paused = true)]
async fn the_same_handlers_are_served_over_http1() {
    let mut port = port(|_, _| {});
    for (handler, said) in [
        ("ws-leave", &b"\x88\x02\x03\xe8"[..]),
        ("ws-panic", b"\x88\x02\x03\xf3"),
        ("ws-close", b"\x81\x0alast words\x88\x05\x0f\xa0bye"),
    ] {
        let mut peer = over_http1(&port, handler, 64 * 1024).await;
        assert_eq!(counts(&port), (0, 1, 0));
        let mut heard = vec![0; said.len()];
        peer.io.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, said, "{handler}");
        peer.say(CLOSE, b"").await;
        assert!(peer.is_over().await);
        drop(peer);
        let reason = if handler == "ws-panic" {
            CloseReason::Panic
        } else {
            CloseReason::Completed
        };
        assert_eq!(port.end_of_only().await, reason, "{handler}");
    }
    let mut peer = over_http1(&port, "ws-halves", 64 * 1024).await;
    peer.say(0x01, b"a").await;
    peer.say(0x80, b"b").await;
    assert_eq!(peer.hear().await, (TEXT, b"ab".to_vec()));
    peer.say(TEXT, b"\xff").await;
    let mut rest = Vec::new();
    peer.io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"\x88\x17\x03\xefthe text is not UTF-8");
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::ProtocolError);
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_is_told_if_it_still_can_be_and_left() {
    let mut port = port(|_, own| own.slow_consumer = SlowConsumer::Close);
    let begun = Instant::now();
    let peer = over_http1(&port, "ws-flood", 1024).await;
    assert_eq!(port.next_reason().await, CloseReason::SlowConsumer);
    took(begun, 3 * SECOND);
    drop(peer);
    // One that takes what has begun to go gets its Close.
    let mut peer = over_http1(&port, "ws-flood", 1024).await;
    sleep(SECOND).await;
    let mut all = Vec::new();
    peer.io.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 60_004 + 33);
    assert!(all.ends_with(b"\x88\x1f\x03\xf0messages are taken too slowly"));
    drop(peer);
    assert_eq!(port.next_reason().await, CloseReason::SlowConsumer);
}
