//! Sessions: of handlers that know nothing of wharf (axum's own, and whoever takes an upgrade), and of
//! wharf's extractor.

mod extractor;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::{Router, routing::any};
use tokio::net::TcpListener;
use tokio::time::Instant;
use wharf_http::pool::config::PoolConfig;
use wharf_http::pool::events::Subscription;
use wharf_http::pool::{CloseReason, ScopeLimits};
use wharf_http::{
    HttpSettings, ListenerSetup, Protocol, Running, Server, WebSocketSettings, serve,
};
use wharf_testkit::Peer;
use wharf_testkit::websocket::{BINARY, CLOSE, PING, PONG, Session, TEXT, close, hostile};

use crate::support::{eventually, millis, next_reason};

fn app() -> Router {
    Router::new().route("/ws", any(echo))
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            let is_message = matches!(message, Message::Text(_) | Message::Binary(_));
            if is_message && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

/// A server whose sessions are asked for a sign twice a second.
async fn start() -> (Running, Subscription) {
    let mut config = Protocol::WebSocket.defaults();
    config.protocol = WebSocketSettings::default().into();
    let mut patch = config.patch();
    patch.set("ping_interval", &"500ms".into()).expect("a key");
    patch.set("pong_timeout", &"500ms".into()).expect("a key");
    let (config, _) = config.patched(&patch).expect("it can be used");
    let address = "127.0.0.1:0".parse().expect("an address");
    let name = "a".parse().expect("a name");
    let setup = ListenerSetup::new(name, address)
        .pool(Protocol::Http, PoolConfig::<HttpSettings>::default())
        .pool(Protocol::WebSocket, config);
    let server = Server::builder()
        .limits(ScopeLimits::default())
        .listener(setup, app());
    let running = server.start().await.expect("it can be had");
    let events = running.events().subscribe();
    (running, events)
}

async fn open(running: &Running) -> Session<Peer> {
    let peer = Peer::connect(running.addresses()[0].1).await;
    Session::open(peer, "/ws").await
}

#[tokio::test]
async fn axums_own_sessions_are_asked_answered_and_counted() {
    let (running, mut events) = start().await;
    let mut peer = open(&running).await;
    let active = |at: usize| running.registry().all()[at].active();
    assert_eq!((active(0), active(1)), (0, 1));
    peer.say(TEXT, b"one").await;
    assert_eq!(peer.hear().await, (TEXT, b"one".to_vec()));
    let mut pings = 0;
    while pings < 3 {
        let (first, payload) = peer.hear().await;
        assert_eq!(first, PING);
        pings += 1;
        peer.say(PONG, &payload).await;
    }
    peer.say(PING, b"and you?").await;
    assert_eq!(peer.hear().await, (PONG, b"and you?".to_vec()));
    // And then nothing.
    assert_eq!(peer.hear().await.0, PING);
    let asked = Instant::now();
    let _ = peer.io.closed(millis(2000)).await;
    assert!((millis(490)..millis(1000)).contains(&asked.elapsed()));
    assert_eq!(next_reason(&mut events).await, CloseReason::PongTimeout);
    assert_eq!((active(0), active(1)), (0, 0));
}

#[tokio::test]
async fn a_drain_tells_every_session_and_waits_for_their_answers() {
    let (running, mut events) = start().await;
    let mut peers = Vec::new();
    for _ in 0..20 {
        peers.push(open(&running).await);
    }
    let leaving = async {
        for peer in &mut peers {
            let mut said = peer.hear().await;
            while said.0 == PING {
                peer.say(PONG, &said.1).await;
                said = peer.hear().await;
            }
            assert_eq!(said, close(1001, ""));
            peer.say(CLOSE, b"\x03\xe9").await;
        }
        for peer in &mut peers {
            let _ = peer.io.closed(millis(1000)).await;
        }
        peers.clear();
    };
    let (report, ()) = tokio::join!(running.drain(), leaving);
    assert_eq!((report.finished, report.cut), (20, 0));
    assert!(report.took < millis(3000), "{:?}", report.took);
    for _ in 0..20 {
        assert_eq!(next_reason(&mut events).await, CloseReason::Drained);
    }
}

#[tokio::test]
async fn what_no_honest_client_sends_ends_the_session_with_its_code_and_no_others() {
    let (running, mut events) = start().await;
    let mut other = open(&running).await;
    for (bytes, code, cause) in [
        (
            hostile::unmasked(TEXT, b"x"),
            1002_u16,
            CloseReason::ProtocolError,
        ),
        (
            hostile::announced(BINARY, 1 << 40),
            1009,
            CloseReason::MessageTooLarge,
        ),
        (hostile::fragments(1000), 1008, CloseReason::WebSocketAbuse),
        (
            hostile::pings(1000, b"?"),
            1008,
            CloseReason::WebSocketAbuse,
        ),
    ] {
        let mut peer = open(&running).await;
        peer.send(&bytes).await;
        let mut said = peer.hear().await;
        while said.0 != CLOSE {
            said = peer.hear().await;
        }
        assert_eq!(said.1[..2], code.to_be_bytes(), "{cause}");
        drop(peer);
        assert_eq!(next_reason(&mut events).await, cause);
        other.say(TEXT, b"still here").await;
        let mut heard = other.hear().await;
        while heard.0 == PING {
            other.say(PONG, &heard.1).await;
            heard = other.hear().await;
        }
        assert_eq!(heard, (TEXT, b"still here".to_vec()));
    }
}

#[tokio::test]
async fn what_replaces_axum_serve_has_sessions_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("it can be had");
    let running = serve(listener, app()).start().await;
    let running = running.expect("it can be had");
    let mut peer = open(&running).await;
    peer.say(TEXT, b"here").await;
    assert_eq!(peer.hear().await, (TEXT, b"here".to_vec()));
    let pools = running.registry().all();
    let active: Vec<_> = pools
        .iter()
        .map(|pool| (pool.name().to_string(), pool.active()))
        .collect();
    let wanted = [
        ("main/http".to_owned(), 0),
        ("main/websocket".to_owned(), 1),
    ];
    assert_eq!(active, wanted);
    peer.say(CLOSE, b"\x0f\xa0").await;
    assert_eq!(peer.hear().await, close(4000, ""));
    let _ = peer.io.closed(millis(1000)).await;
    drop(peer);
    eventually(|| pools[1].active() == 0, || "it is there".to_owned()).await;
}
