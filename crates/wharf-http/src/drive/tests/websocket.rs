//! Sessions over bytes in memory: who says what, when, and why it ends.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use wharf_pool::Command;

use super::*;
use crate::protocol::Protocol;
use crate::settings::WebSocketSettings;

/// A harbour where sessions are had.
struct Sessions {
    harbour: Harbour,
    pool: Pool<HttpConnection>,
}

impl Sessions {
    fn new(change: impl FnOnce(&mut PoolConfig<ProtocolSettings>)) -> Self {
        let mut harbour = Harbour::new(|_| {});
        let mut config = Protocol::WebSocket.defaults();
        change(&mut config);
        let name: PoolName = "test/websocket".parse().unwrap();
        let pool = harbour.registry.get_or_create(&name, config).unwrap();
        let mut context = Context::alone(&harbour.pool);
        context.pools = context.pools.with(Protocol::WebSocket, pool.clone());
        harbour.shared = Arc::new(context);
        Self { harbour, pool }
    }

    fn connect(&self) -> DuplexStream {
        let (peer, ours) = duplex(64 * 1024);
        let address: SocketAddr = "192.0.2.1:1000".parse().unwrap();
        let guard = self
            .harbour
            .pool
            .add(Endpoints::new(address, address), HttpConnection::default())
            .unwrap();
        let shared = Arc::clone(&self.harbour.shared);
        let served = drive(Tracked::new(ours, guard), tower::service_fn(accept), shared);
        self.harbour.tasks.spawn(served);
        peer
    }

    /// A session with the handler of that name.
    async fn open(&self, handler: &str) -> DuplexStream {
        let mut peer = self.connect();
        let answer = ask(&mut peer, handler, "").await;
        assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        assert_eq!(self.counts(), (0, 1));
        peer
    }

    /// Connections that are no sessions, and those that are.
    fn counts(&self) -> (u32, u32) {
        (self.harbour.pool.active(), self.pool.active())
    }

    fn tell(&self, reason: CloseReason) {
        for connection in self.harbour.registry.connections() {
            connection.begin_close(reason);
        }
    }

    async fn ended(&mut self) -> CloseReason {
        let reason = self.harbour.next_reason().await;
        assert_eq!(self.counts(), (0, 0));
        assert_eq!(self.pool.metrics().in_flight, 0);
        assert_eq!(self.harbour.pool.metrics().in_flight, 0);
        reason
    }
}

/// Sends a handshake; returns the head of the answer.
async fn ask(peer: &mut DuplexStream, handler: &str, fields: &str) -> String {
    let request = format!(
        "GET /{handler} HTTP/1.1\r\nHost: t\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    peer.write_all(request.as_bytes()).await.unwrap();
    head(peer).await
}

async fn head(peer: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The next frame: its first byte, its payload.
async fn frame(peer: &mut DuplexStream) -> (u8, Vec<u8>) {
    let first = peer.read_u8().await.unwrap();
    let length = peer.read_u8().await.unwrap();
    assert!(length < 126);
    let mut payload = vec![0; usize::from(length)];
    peer.read_exact(&mut payload).await.unwrap();
    (first, payload)
}

/// A client's frame.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let mask = [1, 2, 3, 4];
    let masked = payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m);
    let head = [first, 0x80 | length].into_iter().chain(mask);
    head.chain(masked).collect()
}

const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

fn close(code: u16, why: &str) -> (u8, Vec<u8>) {
    let payload = code.to_be_bytes().into_iter().chain(why.bytes());
    (CLOSE, payload.collect())
}

/// The client's part of an end that we have begun.
async fn part(peer: &mut DuplexStream, code: u16) {
    assert_eq!(frame(peer).await, close(code, ""));
    peer.write_all(&masked(CLOSE, &code.to_be_bytes()))
        .await
        .unwrap();
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
}

async fn accept(mut request: Request<RequestBody>) -> Result<Response<TestBody>, crate::BoxError> {
    let handler = request.uri().path()[1..].to_owned();
    let mut response = Response::new(Full::from("").boxed_unsync());
    if handler == "no" {
        return Ok(response);
    }
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    if let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() {
        #[expect(
            clippy::disallowed_methods,
            reason = "the handler's own task, as applications do"
        )]
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                handle(&handler, TokioIo::new(upgraded)).await;
            }
        });
    }
    Ok(response)
}

async fn handle(handler: &str, mut io: TokioIo<hyper::upgrade::Upgraded>) {
    match handler {
        "leave" => return,
        "panic" => assert_eq!(handler, "as asked"),
        "deaf" => sleep(24 * 3600 * SECOND).await,
        "discard" => {
            let mut heard = vec![0; 4096];
            while let Ok(1..) = io.read(&mut heard).await {}
            return;
        }
        "close" => io.write_all(b"\x88\x02\x03\xe8").await.unwrap(),
        "slow-frame" => {
            io.write_all(b"\x81\x04sl").await.unwrap();
            sleep(2 * SECOND).await;
            io.write_all(b"ow").await.unwrap();
            io.write_all(b"\x81\x04late").await.unwrap();
        }
        "half" => return io.write_all(b"\x81\x04ha").await.unwrap(),
        "flood" => while io.write_all(&[0x82, 2, 0, 0]).await.is_ok() {},
        _ => {}
    }
    // Tells what it hears, and answers a Close.
    let mut heard = vec![0; 4096];
    while let Ok(n @ 1..) = io.read(&mut heard).await {
        let heard = &heard[..n];
        if heard[0] == CLOSE {
            let mut answer = vec![CLOSE, heard[1] & 0x7f];
            let payload = heard[6..].iter().zip(heard[2..6].iter().cycle());
            answer.extend(payload.map(|(byte, mask)| byte ^ mask));
            return io.write_all(&answer).await.unwrap_or_default();
        }
        let report = [&[0x82, u8::try_from(n).unwrap()], heard].concat();
        if io.write_all(&report).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_asked_and_then_given_up() {
    let mut sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("listen").await;
    let begun = Instant::now();
    let (ping, _) = frame(&mut peer).await;
    assert_eq!(ping, PING);
    took(begun, 30 * SECOND);
    let begun = Instant::now();
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    took(begun, 10 * SECOND);
    assert_eq!(sessions.ended().await, CloseReason::PongTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_stays_for_an_hour_and_is_told_then() {
    let mut sessions = Sessions::new(|_| {});
    let begun = Instant::now();
    let mut peer = sessions.open("listen").await;
    let mut pings = 0;
    loop {
        match frame(&mut peer).await {
            (PING, payload) => {
                pings += 1;
                peer.write_all(&masked(PONG, &payload)).await.unwrap();
            }
            said => break assert_eq!(said, close(1001, "")),
        }
    }
    assert!((115..=120).contains(&pings), "{pings}");
    let took = begun.elapsed();
    assert!((3600..3602).contains(&took.as_secs()), "{took:?}");
    peer.write_all(&masked(CLOSE, b"\x03\xe9")).await.unwrap();
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    drop(peer);
    assert_eq!(sessions.ended().await, CloseReason::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_read_is_no_reason_to_give_its_client_up() {
    let sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("deaf").await;
    for _ in 0..20 {
        let (ping, payload) = frame(&mut peer).await;
        assert_eq!(ping, PING);
        peer.write_all(&masked(0x82, &[7; 100])).await.unwrap();
        peer.write_all(&masked(PONG, &payload)).await.unwrap();
    }
    assert_eq!(sessions.counts(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_here_and_the_handler_hears_the_rest() {
    let mut sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("listen").await;
    let text = masked(0x81, b"hello");
    let all = [
        masked(PING, b"one"),
        text.clone(),
        masked(PING, b""),
        masked(PONG, b"not ours"),
    ];
    for byte in all.concat() {
        peer.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut heard = Vec::new();
    let mut pongs = Vec::new();
    while heard.len() < text.len() + 14 {
        match frame(&mut peer).await {
            (PONG, payload) => pongs.push(payload),
            (first, payload) => {
                assert_eq!(first, 0x82);
                heard.extend(payload);
            }
        }
    }
    assert_eq!(heard, [text, masked(PONG, b"not ours")].concat());
    assert_eq!(pongs, [b"one".to_vec(), b"".to_vec()]);
    drop(peer);
    assert_eq!(sessions.ended().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn only_the_latest_of_many_pings_are_answered_and_a_flood_ends() {
    let mut sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("listen").await;
    let pings: Vec<u8> = (0..50).flat_map(|n| masked(PING, &[n])).collect();
    peer.write_all(&pings).await.unwrap();
    for n in 34..50 {
        assert_eq!(frame(&mut peer).await, (PONG, vec![n]));
    }
    let flood = masked(PING, &[0; 100]).repeat(101);
    peer.write_all(&flood).await.unwrap();
    loop {
        let (first, payload) = frame(&mut peer).await;
        if first == CLOSE {
            break assert_eq!((first, payload), close(1008, "too many pings"));
        }
    }
    drop(peer);
    assert_eq!(sessions.ended().await, CloseReason::WebSocketAbuse);
}

#[tokio::test(start_paused = true)]
async fn every_broken_rule_has_its_code_and_its_reason() {
    const FRAGMENTS: usize = 129;
    let fragments = [masked(0x01, b""), masked(0x00, b"").repeat(FRAGMENTS - 1)].concat();
    let frame_of =
        |length: u32| [&b"\x82\xff\0\0\0\0"[..], &length.to_be_bytes(), &[0; 4]].concat();
    let part = |first: u8| {
        let head = [&[first, 0xff, 0, 0, 0, 0, 0, 4, 0, 0], &[0; 4][..]].concat();
        [head, vec![0; 256 << 10]].concat()
    };
    let message = [part(0x02), part(0), part(0), part(0), masked(0x80, b"x")].concat();
    let cases: [(&[u8], u16, CloseReason); 10] = [
        (b"\x81\x05hello", 1002, CloseReason::ProtocolError),
        (&masked(0xc1, b""), 1002, CloseReason::ProtocolError),
        (&masked(0x83, b""), 1002, CloseReason::ProtocolError),
        (
            b"\x89\xfe\x00\x7e\0\0\0\0",
            1002,
            CloseReason::ProtocolError,
        ),
        (&masked(0x09, b""), 1002, CloseReason::ProtocolError),
        (&masked(0x80, b""), 1002, CloseReason::ProtocolError),
        (
            &masked(0x01, b"").repeat(2),
            1002,
            CloseReason::ProtocolError,
        ),
        (
            &frame_of((256 << 10) + 1),
            1009,
            CloseReason::MessageTooLarge,
        ),
        (&message, 1009, CloseReason::MessageTooLarge),
        (&fragments, 1008, CloseReason::WebSocketAbuse),
    ];
    for (bytes, code, reason) in cases {
        let mut sessions = Sessions::new(|_| {});
        let peer = sessions.open("discard").await;
        let (mut reader, mut writer) = tokio::io::split(peer);
        let write = async {
            // The rest of what was too much may not be taken.
            writer.write_all(bytes).await.ok();
            std::future::pending::<()>().await;
        };
        let begun = Instant::now();
        let mut all = Vec::new();
        tokio::select! { () = write => {}, _ = reader.read_to_end(&mut all) => {} }
        let at = all.windows(2).rposition(|two| two == code.to_be_bytes());
        let at = at.unwrap_or_else(|| panic!("{code}: {all:x?}"));
        assert_eq!(all[at - 2], CLOSE);
        assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
        drop((reader, writer));
        assert_eq!(sessions.ended().await, reason);
    }
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_goes_between_two_frames_and_nothing_of_the_handlers_after_it() {
    for (reason, patience) in [(CloseReason::Drained, 1), (CloseReason::Admin, 1)] {
        let mut sessions = Sessions::new(|_| {});
        let mut peer = sessions.open("slow-frame").await;
        sessions.tell(reason);
        let begun = Instant::now();
        assert_eq!(frame(&mut peer).await, (0x81, b"slow".to_vec()));
        assert_eq!(begun.elapsed().as_secs(), 2);
        part(&mut peer, 1001).await;
        drop(peer);
        assert_eq!(sessions.ended().await, reason);
        assert!(begun.elapsed().as_secs() <= 2 + patience);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_reaches_its_age_is_told() {
    let mut sessions = Sessions::new(|c| c.common.max_age = Some(20 * SECOND));
    let mut peer = sessions.open("listen").await;
    let begun = Instant::now();
    part(&mut peer, 1001).await;
    assert!((18..=22).contains(&begun.elapsed().as_secs()));
    drop(peer);
    assert_eq!(sessions.ended().await, CloseReason::MaxAge);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_no_close_is_left() {
    let mut sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("listen").await;
    sessions.tell(CloseReason::Admin);
    assert_eq!(frame(&mut peer).await, close(1001, ""));
    let begun = Instant::now();
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    took(begun, 3 * SECOND);
    assert_eq!(sessions.ended().await, CloseReason::Admin);
}

#[tokio::test(start_paused = true)]
async fn a_clients_close_is_answered_by_the_handler_or_else_by_us() {
    let mut sessions = Sessions::new(|_| {});
    for handler in ["listen", "deaf"] {
        let mut peer = sessions.open(handler).await;
        let begun = Instant::now();
        if handler == "deaf" {
            // It is not the handler who reads it, so nobody knows of it before the next Ping.
            assert_eq!(frame(&mut peer).await.0, PING);
        }
        peer.write_all(&masked(CLOSE, b"\x0f\xa0")).await.unwrap();
        assert_eq!(frame(&mut peer).await, close(4000, ""));
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
        assert!(begun.elapsed() < 45 * SECOND);
        drop(peer);
        let reason = sessions.harbour.next_reason();
        if handler == "listen" {
            assert_eq!(reason.await, CloseReason::ClientClosed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_leaves_has_its_close_said() {
    for (handler, code, reason) in [
        ("leave", 1000, CloseReason::Completed),
        ("close", 1000, CloseReason::Completed),
        ("panic", 1011, CloseReason::Panic),
    ] {
        let mut sessions = Sessions::new(|_| {});
        let mut peer = sessions.open(handler).await;
        part(&mut peer, code).await;
        drop(peer);
        assert_eq!(sessions.ended().await, reason, "{handler}");
    }
    let mut sessions = Sessions::new(|_| {});
    let mut peer = sessions.connect();
    assert!(ask(&mut peer, "half", "").await.starts_with("HTTP/1.1 101"));
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"\x81\x04ha");
    assert_eq!(sessions.ended().await, CloseReason::ApplicationError);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_message_and_room_for_one_are_waited_for_a_minute() {
    let mut sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("discard").await;
    let begun = Instant::now();
    peer.write_all(&masked(0x01, b"begun")).await.unwrap();
    loop {
        let (first, payload) = frame(&mut peer).await;
        if first == CLOSE {
            let late = close(1008, "the rest of the message did not come");
            break assert_eq!((first, payload), late);
        }
        // Asked whether it is there: it is, and sends nothing else.
        assert_eq!(first, PING);
        sleep(5 * SECOND).await;
        peer.write_all(&masked(PONG, &payload)).await.unwrap();
    }
    took(begun, 60 * SECOND);
    drop(peer);
    assert_eq!(sessions.ended().await, CloseReason::StreamIdle);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut() {
    let mut sessions = Sessions::new(|c| {
        if let ProtocolSettings::WebSocket(websocket) = &mut c.protocol {
            websocket.ping_interval = None;
        }
    });
    let peer = sessions.open("flood").await;
    let begun = Instant::now();
    assert_eq!(
        sessions.harbour.next_reason().await,
        CloseReason::StreamIdle
    );
    took(begun, 60 * SECOND);
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_refuses_before_the_handler_and_other_answers_give_the_place_back() {
    let sessions = Sessions::new(|c| c.common.max_connections = wharf_pool::config::Count::new(1));
    let mut waiting = sessions.connect();
    for _ in 0..3 {
        let answer = ask(&mut waiting, "no", "").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(sessions.counts(), (1, 0));
    }
    let mut peer = sessions.connect();
    let answer = ask(&mut peer, "listen", "").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let answer = ask(&mut waiting, "listen", "").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"));
    assert_eq!(sessions.counts(), (1, 1));
    drop(peer);
    sleep(SECOND).await;
    let answer = ask(&mut waiting, "listen", "").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert_eq!(sessions.counts(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_is_not_allowed_gets_403() {
    let sessions = Sessions::new(|c| {
        c.protocol = ProtocolSettings::WebSocket(WebSocketSettings {
            allowed_origins: crate::websocket::Origins::Only(vec!["https://a.example".to_owned()]),
            ..WebSocketSettings::default()
        });
    });
    let mut peer = sessions.connect();
    let answer = ask(&mut peer, "listen", "Origin: https://b.example\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let answer = ask(&mut peer, "listen", "Origin: https://a.example\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    let answer = ask(&mut sessions.connect(), "listen", "").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn where_there_are_no_sessions_the_request_is_an_ordinary_one() {
    let harbour = Harbour::new(|_| {});
    let sessions = Sessions {
        pool: harbour.pool.clone(),
        harbour,
    };
    let mut peer = sessions.connect();
    let answer = ask(&mut peer, "no", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = ask(&mut peer, "listen", "").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn changed_settings_reach_a_session_that_is_open() {
    let sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("listen").await;
    let mut patch = sessions.pool.config().patch();
    patch.set("ping_interval", &"2s".into()).unwrap();
    sessions.pool.update_config(&patch).unwrap();
    peer.write_all(&masked(0x82, b"now")).await.unwrap();
    assert_eq!(frame(&mut peer).await.0, 0x82);
    let begun = Instant::now();
    assert_eq!(frame(&mut peer).await.0, PING);
    took(begun, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn frames_that_come_with_the_handshake_are_not_lost() {
    let sessions = Sessions::new(|_| {});
    let mut peer = sessions.connect();
    let early = [masked(PING, b"early"), masked(0x81, b"bird")].concat();
    let request = "GET /listen HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let all = [request.as_bytes(), &early].concat();
    peer.write_all(&all).await.unwrap();
    assert!(head(&mut peer).await.starts_with("HTTP/1.1 101"));
    let mut said = [frame(&mut peer).await, frame(&mut peer).await];
    said.sort();
    assert_eq!(
        said,
        [(0x82, masked(0x81, b"bird")), (PONG, b"early".to_vec())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_is_cut_by_an_abort_whatever_its_handler_does() {
    let mut sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("listen").await;
    for connection in sessions.harbour.registry.connections() {
        connection.abort(CloseReason::DrainDeadline);
        assert!(matches!(connection.command(), Some(Command::Abort(_))));
    }
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(sessions.ended().await, CloseReason::DrainDeadline);
}
