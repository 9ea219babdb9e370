//! What a request may look like, what becomes of it, and that nothing else is served.

use std::time::Duration;

use wharf_http::pool::CloseReason;
use wharf_http::pool::config::{ByteSize, Count};

use crate::support::{Config, Server, eventually, millis};

#[tokio::test]
async fn requests_are_served_one_after_another_and_pipelined() {
    let server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    for _ in 0..3 {
        assert_eq!(peer.get("/hello").await.text(), "Hello, World!");
    }
    peer.send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n".repeat(20))
        .await;
    for _ in 0..20 {
        assert_eq!(peer.response().await.text(), "Hello, World!");
    }
    peer.send("HEAD /hello HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert_eq!(
        peer.response_to_head().await.header("content-length"),
        Some("13")
    );
    eventually(
        || server.pool().metrics().in_flight == 0,
        || "in flight".to_owned(),
    )
    .await;
    let metrics = server.pool().metrics();
    assert_eq!((metrics.requests, metrics.accepted), (24, 1));
    assert!(metrics.bytes_received > 700 && metrics.bytes_sent > 24 * 13);
}

#[tokio::test]
async fn a_head_that_comes_in_pieces_is_served_whole_and_bodies_survive_any_cut() {
    let server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    let request = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
    for pause in [Duration::ZERO, millis(1)] {
        for byte in request.bytes() {
            peer.send([byte]).await;
            tokio::time::sleep(pause).await;
        }
        assert_eq!(peer.response().await.text(), "hello world");
    }
    // Two requests and a half in one segment, the other half later.
    let (half, rest) = request.split_at(30);
    peer.send(format!("{request}{request}{half}")).await;
    assert_eq!(peer.response().await.text(), "hello world");
    assert_eq!(peer.response().await.text(), "hello world");
    peer.send(rest).await;
    assert_eq!(peer.response().await.text(), "hello world");
}

#[tokio::test]
async fn a_handler_learns_who_is_there() {
    let server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    peer.send("GET /who HTTP/1.1\r\nHost: t\r\nUser-Agent: probe/1\r\n\r\n")
        .await;
    let address = peer.address();
    let expected = format!("{address} {address} 1 Some(\"probe/1\")");
    assert_eq!(peer.response().await.text(), expected);
}

#[tokio::test]
async fn what_is_no_strict_request_is_refused_and_never_reaches_the_handler() {
    let mut server = Server::start(Config::default()).await;
    let smuggled = "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n";
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: t\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: +5\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            400,
        ),
        ("CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n", 405),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("\x16\x03\x01\x02\x00", 400),
    ] {
        let mut peer = server.connect().await;
        peer.send(format!("{request}{smuggled}")).await;
        let response = peer.response().await;
        assert_eq!(
            (response.status, response.is_last()),
            (status, true),
            "{request:?}"
        );
        let _ = peer.closed(millis(3000)).await;
        assert!(
            peer.received().is_empty(),
            "nothing more is answered: {request:?}"
        );
        drop(peer);
        assert_eq!(
            server.next_reason().await,
            CloseReason::BadRequest,
            "{request:?}"
        );
    }
    assert_eq!(server.pool().metrics().requests, 0);
}

#[tokio::test]
async fn a_bad_request_behind_a_good_one_waits_for_the_good_ones_answer() {
    let mut server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    peer.send("GET /slow/300 HTTP/1.1\r\nHost: t\r\n\r\nGET / HTTP/1.1\r\nno colon\r\n\r\n")
        .await;
    assert_eq!(peer.response().await.text(), "slow");
    assert_eq!(peer.response().await.status, 400);
    let _ = peer.closed(millis(3000)).await;
    assert_eq!(server.next_reason().await, CloseReason::BadRequest);
}

#[tokio::test]
async fn a_broken_chunk_ends_the_request_that_it_belongs_to() {
    let mut server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    peer.send("POST /length HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    peer.send("5\r\nhello\r\nxyz\r\n").await;
    assert_eq!(peer.response().await.status, 400);
    let _ = peer.closed(millis(3000)).await;
    assert_eq!(server.next_reason().await, CloseReason::BadRequest);
    eventually(
        || server.pool().metrics().in_flight == 0,
        || "in flight".to_owned(),
    )
    .await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_its_own_status() {
    let mut server = Server::with(|c| {
        c.protocol.max_header_size = ByteSize::kib(2);
        c.protocol.max_headers = Count::new(10).unwrap();
        c.protocol.max_target = ByteSize::bytes(100);
        c.protocol.max_body_size = Some(ByteSize::bytes(1000));
    })
    .await;
    let long = "x".repeat(3000);
    let many = "A: b\r\n".repeat(10);
    for (request, status) in [
        (
            format!("GET / HTTP/1.1\r\nHost: t\r\nA: {long}\r\n\r\n"),
            431,
        ),
        (format!("GET / HTTP/1.1\r\nHost: t\r\n{many}\r\n"), 431),
        (format!("GET /{long} HTTP/1.1\r\n"), 414),
        (
            "POST /length HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\n\r\n".to_owned(),
            413,
        ),
        (
            format!(
                "POST /length HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
                 bb8\r\n{long}\r\n"
            ),
            413,
        ),
    ] {
        let mut peer = server.connect().await;
        peer.send(&request).await;
        assert_eq!(peer.response().await.status, status, "{request:.40}");
        drop(peer);
        assert_eq!(server.next_reason().await, CloseReason::MessageTooLarge);
    }
}

#[tokio::test]
async fn a_body_that_the_handler_does_not_read_is_never_a_request() {
    let mut server = Server::start(Config::default()).await;
    let inner = "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n".repeat(4000);
    for path in ["/hello", "/keep-body"] {
        let before = server.pool().metrics().requests;
        let mut peer = server.connect().await;
        let length = inner.len();
        peer.send(format!(
            "POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
        assert_eq!(peer.response().await.status, 200);
        // The answer is here before the body is: what comes now is body still.
        let _ = peer.try_send(&inner).await;
        let _ = peer.closed(millis(5000)).await;
        assert!(peer.received().is_empty(), "{path}: the body was answered");
        assert_eq!(server.pool().metrics().requests, before + 1, "{path}");
        let _ = server.next_reason().await;
    }
}

#[tokio::test]
async fn a_panic_is_500_and_the_connection_goes_on() {
    let server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    for _ in 0..10 {
        assert_eq!(peer.get("/panic").await.status, 500);
    }
    assert_eq!(peer.get("/hello").await.status, 200);
    eventually(
        || server.pool().metrics().in_flight == 0,
        || "in flight".to_owned(),
    )
    .await;
    assert_eq!(server.pool().active(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_breaks_its_connection_with_the_reason() {
    let mut server = Server::start(Config::default()).await;
    for (path, reason) in [
        ("/panic-in-body", CloseReason::Panic),
        ("/fail-in-body", CloseReason::ApplicationError),
    ] {
        let mut peer = server.connect().await;
        peer.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"))
            .await;
        let _ = peer.closed(millis(3000)).await;
        assert!(
            !peer.received().ends_with(b"0\r\n\r\n"),
            "the answer must not look complete"
        );
        assert_eq!(server.next_reason().await, reason);
    }
}

#[tokio::test]
async fn a_client_that_vanishes_takes_its_handler_with_it() {
    let mut server = Server::start(Config::default()).await;
    for vanishes in [true, false] {
        let mut peer = server.connect().await;
        peer.send("GET /slow/60000 HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        eventually(
            || server.pool().metrics().in_flight == 1,
            || "not begun".to_owned(),
        )
        .await;
        if vanishes {
            peer.vanish();
        } else {
            drop(peer);
        }
        assert_eq!(server.next_reason().await, CloseReason::PeerReset);
        eventually(
            || server.pool().metrics().in_flight == 0,
            || "in flight".to_owned(),
        )
        .await;
    }
}

#[tokio::test]
async fn an_orderly_close_is_the_clients() {
    let mut server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    assert_eq!(peer.get("/hello").await.status, 200);
    drop(peer);
    assert_eq!(server.next_reason().await, CloseReason::ClientClosed);

    let mut peer = server.connect().await;
    peer.send("GET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .await;
    assert!(peer.response().await.is_last());
    let _ = peer.closed(millis(3000)).await;
    assert_eq!(server.next_reason().await, CloseReason::Completed);
}

#[tokio::test]
async fn an_early_answer_to_a_large_upload_arrives() {
    let server = Server::with(|c| c.protocol.max_body_size = Some(ByteSize::kib(10))).await;
    for _ in 0..20 {
        let mut peer = server.connect().await;
        peer.send("POST /length HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n")
            .await;
        let _ = peer.try_send(vec![b'x'; 1_000_000]).await;
        assert_eq!(peer.response().await.status, 413);
    }
}
