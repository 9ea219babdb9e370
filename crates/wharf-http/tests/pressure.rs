//! When memory is short: who is still let in, what those are told that are here, and when it is over.

use std::net::SocketAddr;
use std::time::Duration;

use h2::Reason;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wharf_http::pool::config::WhenFull;
use wharf_http::pool::events::Subscription;
use wharf_http::pool::{CloseReason, RejectReason, Rung};
use wharf_http::{ListenerSetup, Protocol, Running, Server};
use wharf_testkit::http2::{Client, Kind, PREFACE, Raw};
use wharf_testkit::websocket::{CLOSE, Session, TEXT, close};
use wharf_testkit::{Closed, Peer};

use crate::app::app;
use crate::support::{self, eventually, millis, next_reason};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn answers_of_http1_are_the_last_of_their_connections_until_there_is_room() {
    let mut server = support::Server::with(|_| {}).await;
    let mut peer = server.connect().await;
    assert!(!peer.get("/hello").await.is_last());
    server.running.registry().relieve(Rung::Parting, 0.93);
    let last = peer.get("/hello").await;
    assert!(last.text() == "Hello, World!" && last.is_last());
    assert_eq!(peer.closed(SOON).await.0, Closed::End);
    assert_eq!(server.next_reason().await, CloseReason::Pressure);
    let newcomer = server.connect().await.get("/hello").await;
    assert!(newcomer.status == 200 && newcomer.is_last());

    server.running.registry().relieve(Rung::Squeezing, 0.9);
    let mut peer = server.connect().await;
    assert!(!peer.get("/hello").await.is_last());
    assert!(!peer.get("/hello").await.is_last());
}

#[tokio::test]
async fn newcomers_are_told_to_come_again_and_let_in_as_soon_as_there_is_room() {
    let server = support::Server::with(|_| {}).await;
    for rung in [Rung::Refusing, Rung::Cutting] {
        server.running.registry().relieve(rung, 0.96);
        let before = server.rejected(RejectReason::Pressure);
        let mut newcomer = server.connect().await;
        newcomer
            .send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        let refused = newcomer.response().await;
        assert!(refused.status == 503 && refused.is_last(), "{rung:?}");
        assert!(refused.header("retry-after").is_some(), "{rung:?}");
        assert_eq!(newcomer.closed(SOON).await.0, Closed::End);
        assert_eq!(server.rejected(RejectReason::Pressure), before + 1);
        assert_eq!(server.pool().active(), 0);
        server.running.registry().relieve(Rung::Parting, 0.93);
        assert_eq!(server.connect().await.get("/hello").await.status, 200);
        server.active(0).await;
    }
}

#[tokio::test]
async fn where_newcomers_wait_nobody_is_accepted_until_there_is_room() {
    let server = support::Server::with(|config| {
        config.common.when_full = WhenFull::Wait;
        config.common.queue_timeout = Duration::from_mins(1);
    })
    .await;
    server.running.registry().relieve(Rung::Refusing, 0.96);
    let mut waits = server.connect().await;
    waits.send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert!(waits.is_quiet(millis(300)).await);
    assert_eq!(server.pool().active(), 0);
    server.running.registry().relieve(Rung::Calm, 0.5);
    let answer = timeout(SOON, waits.response()).await.expect("its turn");
    assert!(answer.status == 200 && !answer.is_last());
    assert_eq!(server.rejected(RejectReason::Pressure), 0);
}

#[tokio::test]
async fn whoever_has_waited_for_room_too_long_is_refused() {
    let server = support::Server::with(|config| {
        config.common.when_full = WhenFull::Wait;
        config.common.queue_timeout = millis(200);
    })
    .await;
    server.running.registry().relieve(Rung::Refusing, 0.96);
    let refused = timeout(SOON, async { server.connect().await.get("/hello").await });
    assert_eq!(refused.await.expect("an answer").status, 503);
    assert_eq!(server.rejected(RejectReason::Pressure), 1);
}

/// A server of HTTP/1 and HTTP/2.
async fn mixed() -> (Running, SocketAddr, Subscription) {
    let name = "test".parse().expect("a name");
    let mut setup = ListenerSetup::new(name, ([127, 0, 0, 1], 0).into());
    for protocol in [Protocol::Http, Protocol::Http2, Protocol::WebSocket] {
        setup = setup.pool(protocol, protocol.defaults());
    }
    let app = app().route("/ws", axum::routing::any(session));
    let running = Server::builder().listener(setup, app).start().await;
    let running = running.expect("it can be had");
    let address = running.addresses()[0].1;
    let events = running.events().subscribe();
    (running, address, events)
}

async fn session(upgrade: axum::extract::ws::WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("it listens")
}

#[tokio::test]
async fn streams_that_have_begun_go_on_and_new_ones_are_refused_until_there_is_room() {
    let (running, address, _events) = mixed().await;
    let client = Client::over(connect(address).await).await;
    let asked = || {
        let connections = running.registry().connections();
        connections.iter().any(|it| it.info().in_flight == 1)
    };
    let new = async {
        eventually(asked, || "nothing is in flight".to_owned()).await;
        running.registry().relieve(Rung::Refusing, 0.96);
        let first = client.reset_of("/hello").await;
        let second = client.reset_of("/hello").await;
        running.registry().relieve(Rung::Parting, 0.93);
        (first, second, client.get("/hello").await.expect("room"))
    };
    let (begun, (first, second, after)) = tokio::join!(client.get("/slow/1500"), new);
    assert_eq!(begun.expect("it goes on").text(), "slow");
    assert_eq!(first, Some(Reason::REFUSED_STREAM));
    assert_eq!(second, Some(Reason::REFUSED_STREAM));
    assert_eq!(after.text(), "Hello, World!");
    running.registry().relieve(Rung::Calm, 0.5);
    let calm = client.get("/hello").await.expect("the same connection");
    assert_eq!(calm.text(), "Hello, World!");
}

/// How large a window a newcomer's connection has.
async fn window(peer: &mut Raw<TcpStream>) -> u32 {
    peer.bytes(PREFACE).await;
    peer.send(Kind::Settings, 0, 0, &[]).await;
    let update = timeout(SOON, peer.next(Kind::WindowUpdate)).await;
    let update = update.expect("it is told");
    assert_eq!(update.stream, 0);
    let more = update.payload.first_chunk().expect("four bytes");
    65_535 + u32::from_be_bytes(*more)
}

#[tokio::test]
async fn newcomers_of_http2_are_offered_less_the_more_of_them_share_the_memory() {
    let (running, address, _events) = mixed().await;
    running.registry().strain().set_memory(Some(32 << 20));
    let mut peers = Vec::new();
    // An eighth of the memory, and of its share half is a connection's window.
    for share in [4 << 20, 2 << 20, (4 << 20) / 3, 1 << 20] {
        let mut peer = Raw::over(connect(address).await);
        assert_eq!(window(&mut peer).await, share / 2);
        peers.push(peer);
    }
    drop(peers);
    let none = || running.registry().connections().is_empty();
    eventually(none, || "they are still there".to_owned()).await;
    let mut peer = Raw::over(connect(address).await);
    assert_eq!(window(&mut peer).await, 2 << 20);
}

#[tokio::test]
async fn a_session_is_told_to_come_again_later() {
    let (running, address, mut events) = mixed().await;
    let mut session = Session::open(Peer::connect(address).await, "/ws").await;
    session.say(TEXT, b"here").await;
    assert_eq!(session.hear().await, (TEXT, b"here".to_vec()));
    for connection in running.registry().connections() {
        connection.begin_close(CloseReason::Pressure);
    }
    let told = session.hear().await;
    assert_eq!(told, close(1013, "short of memory"));
    session.say(CLOSE, &told.1).await;
    assert!(session.is_over().await);
    assert_eq!(next_reason(&mut events).await, CloseReason::Pressure);
}
