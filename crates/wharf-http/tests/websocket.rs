//! Sessions: of handlers that know nothing of wharf (axum's own, and whoever takes an upgrade), and of
//! wharf's extractor.

mod extractor;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::{Router, routing::any};
use tokio::net::TcpListener;
use tokio::time::Instant;
use wharf_http::pool::config::PoolConfig;
use wharf_http::pool::events::{EventKind, Subscription};
use wharf_http::pool::{CloseReason, ScopeLimits};
use wharf_http::{
    HttpSettings, ListenerSetup, Protocol, Running, Server, WebSocketSettings, serve,
};
use wharf_testkit::Peer;

use crate::support::{eventually, millis};

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

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

async fn open(running: &Running) -> Peer {
    let mut peer = Peer::connect(running.addresses()[0].1).await;
    peer.send(ASK).await;
    assert_eq!(peer.response().await.status, 101);
    peer
}

/// The next frame: its first byte, its payload.
async fn frame(peer: &mut Peer) -> (u8, Vec<u8>) {
    let head = peer.take(2).await;
    (head[0], peer.take(usize::from(head[1])).await)
}

/// A client's frame, with a mask of zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("it is short");
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

async fn reason(events: &mut Subscription) -> CloseReason {
    loop {
        let event = events.next().await.expect("the server lives");
        if let EventKind::ConnectionRemoved { reason, .. } = event.kind {
            return reason;
        }
    }
}

#[tokio::test]
async fn axums_own_sessions_are_asked_answered_and_counted() {
    let (running, mut events) = start().await;
    let mut peer = open(&running).await;
    let active = |at: usize| running.registry().all()[at].active();
    assert_eq!((active(0), active(1)), (0, 1));
    peer.send(masked(TEXT, b"one")).await;
    assert_eq!(frame(&mut peer).await, (TEXT, b"one".to_vec()));
    let mut pings = 0;
    while pings < 3 {
        let (first, payload) = frame(&mut peer).await;
        assert_eq!(first, PING);
        pings += 1;
        peer.send(masked(PONG, &payload)).await;
    }
    peer.send(masked(PING, b"and you?")).await;
    assert_eq!(frame(&mut peer).await, (PONG, b"and you?".to_vec()));
    // And then nothing.
    assert_eq!(frame(&mut peer).await.0, PING);
    let asked = Instant::now();
    let _ = peer.closed(millis(2000)).await;
    assert!((millis(490)..millis(1000)).contains(&asked.elapsed()));
    assert_eq!(reason(&mut events).await, CloseReason::PongTimeout);
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
            let mut said = frame(peer).await;
            while said.0 == PING {
                peer.send(masked(PONG, &said.1)).await;
                said = frame(peer).await;
            }
            assert_eq!(said, (CLOSE, b"\x03\xe9".to_vec()));
            peer.send(masked(CLOSE, b"\x03\xe9")).await;
        }
        for peer in &mut peers {
            let _ = peer.closed(millis(1000)).await;
        }
        peers.clear();
    };
    let (report, ()) = tokio::join!(running.drain(), leaving);
    assert_eq!((report.finished, report.cut), (20, 0));
    assert!(report.took < millis(3000), "{:?}", report.took);
    for _ in 0..20 {
        assert_eq!(reason(&mut events).await, CloseReason::Drained);
    }
}

#[tokio::test]
async fn what_replaces_axum_serve_has_sessions_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("it can be had");
    let running = serve(listener, app()).start().await;
    let running = running.expect("it can be had");
    let mut peer = open(&running).await;
    peer.send(masked(TEXT, b"here")).await;
    assert_eq!(frame(&mut peer).await, (TEXT, b"here".to_vec()));
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
    peer.send(masked(CLOSE, b"\x0f\xa0")).await;
    assert_eq!(frame(&mut peer).await, (CLOSE, b"\x0f\xa0".to_vec()));
    let _ = peer.closed(millis(1000)).await;
    drop(peer);
    eventually(|| pools[1].active() == 0, || "it is there".to_owned()).await;
}
