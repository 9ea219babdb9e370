//! Sessions over bytes in memory: who says what, when, and why it ends.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use wharf_pool::Command;
use wharf_testkit::websocket::{BINARY, CLOSE, PING, PONG, Session, TEXT, close, hostile, masked};

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
    async fn open(&self, handler: &str) -> Session<DuplexStream> {
        let session = Session::open(self.connect(), &format!("/{handler}")).await;
        assert_eq!(self.counts(), (0, 1));
        session
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

/// Asks for a session; returns the head of the answer.
async fn ask(peer: &mut DuplexStream, handler: &str, fields: &str) -> String {
    let path = format!("/{handler}");
    Session::ask(peer, &path, fields).await.head
}

/// The client's part of an end that we have begun.
async fn part(peer: &mut Session<DuplexStream>, code: u16) {
    assert_eq!(peer.hear().await, close(code, ""));
    peer.say(CLOSE, &code.to_be_bytes()).await;
    assert!(peer.is_over().await);
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
    let (ping, _) = peer.hear().await;
    assert_eq!(ping, PING);
    took(begun, 30 * SECOND);
    let begun = Instant::now();
    assert!(peer.is_over().await);
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
        match peer.hear().await {
            (PING, payload) => {
                pings += 1;
                peer.say(PONG, &payload).await;
            }
            said => break assert_eq!(said, close(1001, "")),
        }
    }
    assert!((115..=120).contains(&pings), "{pings}");
    let took = begun.elapsed();
    assert!((3600..3602).contains(&took.as_secs()), "{took:?}");
    peer.say(CLOSE, b"\x03\xe9").await;
    assert!(peer.is_over().await);
    drop(peer);
    assert_eq!(sessions.ended().await, CloseReason::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_read_is_no_reason_to_give_its_client_up() {
    let sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("deaf").await;
    for _ in 0..20 {
        let (ping, payload) = peer.hear().await;
        assert_eq!(ping, PING);
        peer.say(BINARY, &[7; 100]).await;
        peer.say(PONG, &payload).await;
    }
    assert_eq!(sessions.counts(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_here_and_the_handler_hears_the_rest() {
    let mut sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("listen").await;
    let text = masked(TEXT, b"hello");
    let all = [
        masked(PING, b"one"),
        text.clone(),
        masked(PING, b""),
        masked(PONG, b"not ours"),
    ];
    for byte in all.concat() {
        peer.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    let mut heard = Vec::new();
    let mut pongs = Vec::new();
    while heard.len() < text.len() + 14 {
        match peer.hear().await {
            (PONG, payload) => pongs.push(payload),
            (first, payload) => {
                assert_eq!(first, BINARY);
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
    peer.send(&pings).await;
    for n in 34..50 {
        assert_eq!(peer.hear().await, (PONG, vec![n]));
    }
    peer.send(&hostile::pings(101, &[0; 100])).await;
    loop {
        let (first, payload) = peer.hear().await;
        if first == CLOSE {
            break assert_eq!((first, payload), close(1008, "too many pings"));
        }
    }
    drop(peer);
    assert_eq!(sessions.ended().await, CloseReason::WebSocketAbuse);
}

#[tokio::test(start_paused = true)]
async fn every_broken_rule_has_its_code_and_its_reason() {
    let part = |first: u8| masked(first, &vec![0; 256 << 10]);
    let message = [part(0x02), part(0), part(0), part(0), masked(0x80, b"x")].concat();
    let too_large = hostile::announced(BINARY, (256 << 10) + 1);
    let cases = [
        (
            hostile::unmasked(TEXT, b"hello"),
            1002_u16,
            CloseReason::ProtocolError,
        ),
        (masked(0xc1, b""), 1002, CloseReason::ProtocolError),
        (masked(0x83, b""), 1002, CloseReason::ProtocolError),
        (
            hostile::announced(PING, 126),
            1002,
            CloseReason::ProtocolError,
        ),
        (masked(0x09, b""), 1002, CloseReason::ProtocolError),
        (masked(0x80, b""), 1002, CloseReason::ProtocolError),
        (
            masked(0x01, b"").repeat(2),
            1002,
            CloseReason::ProtocolError,
        ),
        (too_large, 1009, CloseReason::MessageTooLarge),
        (message, 1009, CloseReason::MessageTooLarge),
        (hostile::fragments(129), 1008, CloseReason::WebSocketAbuse),
    ];
    for (bytes, code, reason) in cases {
        let mut sessions = Sessions::new(|_| {});
        let peer = sessions.open("discard").await;
        let (mut reader, mut writer) = tokio::io::split(peer.io);
        let write = async {
            // The rest of what was too much may not be taken.
            writer.write_all(&bytes).await.ok();
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
        assert_eq!(peer.hear().await, (TEXT, b"slow".to_vec()));
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
    assert_eq!(peer.hear().await, close(1001, ""));
    let begun = Instant::now();
    assert!(peer.is_over().await);
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
            assert_eq!(peer.hear().await.0, PING);
        }
        peer.say(CLOSE, b"\x0f\xa0").await;
        assert_eq!(peer.hear().await, close(4000, ""));
        assert!(peer.is_over().await);
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
    let mut peer = Session::open(sessions.connect(), "/half").await;
    let mut rest = Vec::new();
    peer.io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"\x81\x04ha");
    assert_eq!(sessions.ended().await, CloseReason::ApplicationError);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_message_and_room_for_one_are_waited_for_a_minute() {
    let mut sessions = Sessions::new(|_| {});
    let mut peer = sessions.open("discard").await;
    let begun = Instant::now();
    peer.say(0x01, b"begun").await;
    loop {
        let (first, payload) = peer.hear().await;
        if first == CLOSE {
            let late = close(1008, "the rest of the message did not come");
            break assert_eq!((first, payload), late);
        }
        // Asked whether it is there: it is, and sends nothing else.
        assert_eq!(first, PING);
        sleep(5 * SECOND).await;
        peer.say(PONG, &payload).await;
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
    peer.say(BINARY, b"now").await;
    assert_eq!(peer.hear().await.0, BINARY);
    let begun = Instant::now();
    assert_eq!(peer.hear().await.0, PING);
    took(begun, 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn frames_that_come_with_the_handshake_are_not_lost() {
    let sessions = Sessions::new(|_| {});
    let early = [masked(PING, b"early"), masked(TEXT, b"bird")].concat();
    let mut peer = Session::open_with(sessions.connect(), "/listen", &early).await;
    let mut said = [peer.hear().await, peer.hear().await];
    said.sort();
    assert_eq!(
        said,
        [(BINARY, masked(TEXT, b"bird")), (PONG, b"early".to_vec())]
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
    assert!(peer.is_over().await);
    assert_eq!(sessions.ended().await, CloseReason::DrainDeadline);
}
