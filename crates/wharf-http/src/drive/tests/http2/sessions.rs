//! WebSocket sessions of handlers of our own: on streams of HTTP/2 (RFC 8441), and beside them on
//! connections of HTTP/1.

use h2::ext::Protocol as Spoken;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, StatusCode};

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
    let mut request = asked(Method::CONNECT, &format!("/{handler}"));
    let fields = request.headers_mut();
    fields.insert("sec-websocket-version", "13".parse().unwrap());
    fields.insert("sec-websocket-protocol", "one, two".parse().unwrap());
    let spoken = Spoken::from_static("websocket");
    request.extensions_mut().insert(spoken);
    request
}

/// A session, as its client has it.
struct Session {
    fields: HeaderMap,
    send: SendStream<Bytes>,
    receive: RecvStream,
    here: Vec<u8>,
}

impl Session {
    async fn open(client: &Client, handler: &str) -> Self {
        let begun = client.begin(handshake(handler), false).await.unwrap();
        let (head, receive) = begun.response.await.unwrap().into_parts();
        assert_eq!(head.status, StatusCode::OK);
        Self {
            fields: head.headers,
            send: begun.body,
            receive,
            here: Vec::new(),
        }
    }

    fn say(&mut self, first: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        let frame = [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat();
        self.send.send_data(frame.into(), false).unwrap();
    }

    /// The next frame: its first byte, its payload.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let [first, length, rest @ ..] = &self.here[..]
                && let Some(payload) = rest.get(..usize::from(*length))
            {
                let frame = (*first, payload.to_vec());
                self.here.drain(..2 + frame.1.len());
                return Some(frame);
            }
            let data = self.receive.data().await?.ok()?;
            self.here.extend(data);
        }
    }

    /// How the stream has ended: in good order, or by this code.
    async fn end(&mut self) -> Option<Reason> {
        while let Some(data) = self.receive.data().await {
            if let Err(error) = data {
                return error.reason();
            }
        }
        None
    }
}

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

fn close(code: u16, why: &str) -> (u8, Vec<u8>) {
    let payload = code.to_be_bytes().into_iter().chain(why.bytes());
    (CLOSE, payload.collect())
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
    let mut one = Session::open(&client, "ws-echo").await;
    assert_eq!(one.fields["sec-websocket-protocol"], "two");
    assert!(!one.fields.contains_key("content-length"));
    let mut other = Session::open(&client, "ws-halves").await;
    assert_eq!(counts(&port), (2, 0, 1));
    let in_flight = |port: &Port| port.pool(Protocol::WebSocket).metrics().in_flight;
    assert_eq!(in_flight(&port), 2);
    one.say(TEXT, b"to one");
    other.say(TEXT, b"to the other");
    assert_eq!(one.frame().await, Some((TEXT, b"to one".to_vec())));
    assert_eq!(other.frame().await, Some((TEXT, b"to the other".to_vec())));
    one.say(PING, b"there?");
    assert_eq!(one.frame().await, Some((PONG, b"there?".to_vec())));
    assert_eq!(client.get("/early").await.unwrap().text(), "early");
    one.say(CLOSE, b"\x0f\xa0bye");
    assert_eq!(one.frame().await, Some(close(4000, "bye")));
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
    let session = Session::open(&client, "ws-echo").await;
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
    let mut session = Session::open(&client, "ws-echo").await;
    let begun = Instant::now();
    assert_eq!(session.frame().await.unwrap().0, PING);
    took(begun, 30 * SECOND);
    session.say(TEXT, b"here");
    assert_eq!(session.frame().await.unwrap().0, TEXT);
    let begun = Instant::now();
    assert_eq!(session.frame().await.unwrap().0, PING);
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
        let mut session = Session::open(&client, "ws-echo").await;
        let begun = Instant::now();
        assert_eq!(session.frame().await, Some(close(1001, "")));
        assert!((90 * SECOND..111 * SECOND).contains(&begun.elapsed()));
        let begun = Instant::now();
        if answers {
            session.say(CLOSE, b"\x03\xe9");
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
    let mut session = Session::open(&client, "ws-echo").await;
    let leaving = async {
        assert_eq!(session.frame().await, Some(close(1001, "")));
        session.say(CLOSE, b"\x03\xe9");
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
        let mut session = Session::open(&client, handler).await;
        assert_eq!(session.frame().await, Some(close(code, why)), "{handler}");
        session.say(CLOSE, &code.to_be_bytes());
        assert_eq!(session.end().await, None);
    }
    let mut session = Session::open(&client, "ws-close").await;
    assert_eq!(session.frame().await, Some((TEXT, b"last words".to_vec())));
    assert_eq!(session.frame().await, Some(close(4000, "bye")));
    session.say(CLOSE, b"\x0f\xa0");
    assert_eq!(session.end().await, None);
    let rules: [(&[u8], u16, &str); 4] = [
        (b"\x81\x00", 1002, "a frame is not masked"),
        (b"\x81\x81\0\0\0\0\xff", 1007, "the text is not UTF-8"),
        (b"\x88\x81\0\0\0\0\x03", 1002, "the Close is malformed"),
        (
            b"\x82\xff\0\0\0\0\0\x10\0\0\0\0\0\0",
            1009,
            "the frame is too large",
        ),
    ];
    for (bytes, code, why) in rules {
        let mut session = Session::open(&client, "ws-echo").await;
        session.send.send_data(bytes.into(), false).unwrap();
        assert_eq!(session.frame().await, Some(close(code, why)));
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
    let mut slow = Session::open(&client, "ws-flood").await;
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
    let mut tunnel = Session::open(&client, "tunnel").await;
    assert_eq!(counts(&port), (1, 0, 1));
    let begun = Instant::now();
    tunnel.send.send_data("any".into(), false).unwrap();
    assert_eq!(tunnel.receive.data().await.unwrap().unwrap(), "any");
    assert_eq!(tunnel.end().await, Some(Reason::CANCEL));
    took(begun, 100 * SECOND);
    settled(&port, (0, 0, 1)).await;
}

/// A session of HTTP/1 with the same application.
async fn over_http1(port: &Port, handler: &str, room: usize) -> DuplexStream {
    let mut peer = port.connect_over(room);
    let request = format!(
        "GET /{handler} HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    peer.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    peer
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
        peer.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, said, "{handler}");
        peer.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
        drop(peer);
        let reason = if handler == "ws-panic" {
            CloseReason::Panic
        } else {
            CloseReason::Completed
        };
        assert_eq!(port.end_of_only().await, reason, "{handler}");
    }
    let mut peer = over_http1(&port, "ws-halves", 64 * 1024).await;
    peer.write_all(b"\x01\x81\0\0\0\0a\x80\x81\0\0\0\0b")
        .await
        .unwrap();
    let mut heard = [0; 4];
    peer.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"\x81\x02ab");
    peer.write_all(b"\x81\x81\0\0\0\0\xff").await.unwrap();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
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
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 60_004 + 33);
    assert!(all.ends_with(b"\x88\x1f\x03\xf0messages are taken too slowly"));
    drop(peer);
    assert_eq!(port.next_reason().await, CloseReason::SlowConsumer);
}
