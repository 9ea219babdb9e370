//! After an upgrade the bytes are the handler's, and the slot is theirs until the last.

use wharf_http::DrainSettings;
use wharf_http::pool::{CloseReason, ScopeLimits};
use wharf_testkit::Peer;

use crate::support::{Config, Server, millis};

const UPGRADE: &str =
    "GET /upgrade HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

async fn upgraded(server: &Server) -> Peer {
    let mut peer = server.connect().await;
    // What follows the request is held until the handler has decided whose it is.
    peer.send(format!("{UPGRADE}first ")).await;
    assert_eq!(peer.response().await.status, 101);
    peer.send("second").await;
    peer.finish().await;
    let _ = peer.closed(millis(3000)).await;
    assert_eq!(peer.received(), b"first second");
    peer
}

#[tokio::test]
async fn bytes_flow_both_ways_after_the_upgrade_and_the_slot_is_held_to_the_end() {
    let mut server = Server::start(Config::default()).await;
    let peer = upgraded(&server).await;
    drop(peer);
    let _ = server.next_reason().await;
    server.active(0).await;

    let mut peer = server.connect().await;
    peer.send(UPGRADE).await;
    assert_eq!(peer.response().await.status, 101);
    tokio::time::sleep(millis(300)).await;
    assert_eq!(
        server.pool().active(),
        1,
        "the socket is open, so it is counted"
    );
    drop(peer);
    server.active(0).await;
}

#[tokio::test]
async fn a_request_for_an_upgrade_that_is_answered_otherwise_is_an_ordinary_request() {
    let server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    let request = "GET /hello HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    peer.send(request.repeat(3)).await;
    for _ in 0..3 {
        assert_eq!(peer.response().await.text(), "Hello, World!");
    }
}

#[tokio::test]
async fn an_upgraded_connection_is_cut_at_the_end_of_a_drain() {
    let drain = {
        let mut drain = DrainSettings::default();
        drain.timeout = millis(800);
        drain
    };
    let mut server = Server::start_with(Config::default(), ScopeLimits::default(), drain).await;
    let mut peer = server.connect().await;
    peer.send(UPGRADE).await;
    assert_eq!(peer.response().await.status, 101);
    let report = server.running.drain().await;
    assert_eq!((report.finished, report.cut), (0, 1));
    assert_eq!(server.next_reason().await, CloseReason::DrainDeadline);
    let _ = peer.closed(millis(2000)).await;
    assert_eq!(server.pool().active(), 0);
}
