//! After a 101 the connection is somebody else's, and counted until he drops it.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wharf_pool::config::Count;
use wharf_upstream::{SendBody, SendOptions, Upstream};

use crate::servers::{Server, get, head, until, upstream};

type Tunnel = TokioIo<hyper::upgrade::Upgraded>;

/// A server whose tunnels say what they are told, and an upstream of one connection to it.
async fn echoing() -> (Server, Upstream) {
    let server = Server::raw(|_, mut socket| async move {
        head(&mut socket).await;
        let switched =
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        socket.write_all(switched).await.unwrap();
        let (mut read, mut write) = socket.split();
        drop(tokio::io::copy(&mut read, &mut write).await);
    })
    .await;
    let upstream = upstream(&[server.url("http")], |setup| {
        let pool = &mut setup.settings.pool.protocol;
        pool.min_idle = None;
        pool.max_connections_per_endpoint = Count::new(1).unwrap();
    });
    (server, upstream)
}

async fn tunnel(upstream: &Upstream) -> Tunnel {
    let request = Request::get("/echo")
        .header("connection", "upgrade")
        .header("upgrade", "echo");
    let mut options = SendOptions::default();
    options.upgrade = true;
    let request = request.body(SendBody::default()).unwrap();
    let mut answer = upstream.send(request, &options).await.unwrap();
    assert_eq!(answer.status(), 101);
    let upgraded = hyper::upgrade::on(&mut answer);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.is_empty());
    TokioIo::new(upgraded.await.unwrap())
}

#[tokio::test]
async fn a_tunnel_keeps_its_place_until_its_bytes_go() {
    let (_server, upstream) = echoing().await;
    let mut tunnel = tunnel(&upstream).await;
    tunnel.write_all(b"hello").await.unwrap();
    let mut echoed = [0; 5];
    tunnel.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"hello");
    let report = &upstream.endpoints()[0];
    assert_eq!((report.active, report.idle, report.in_flight), (1, 0, 1));
    drop(tunnel);
    until("nothing is in flight", || {
        upstream.endpoints()[0].in_flight == 0
    })
    .await;
    until("the connection is closed", || upstream.pool().active() == 0).await;
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_happens_hears_that_its_time_is_over() {
    let (_server, upstream) = echoing().await;
    let mut tunnel = tunnel(&upstream).await;
    // A task of its own, which nothing else wakes.
    let mut idle = JoinSet::new();
    idle.spawn(async move { tunnel.read_u8().await });
    assert_eq!(upstream.close(Duration::from_millis(100)).await, 1);
    let heard = timeout(Duration::from_secs(10), idle.join_next()).await;
    let read = heard.expect("it heard nothing").unwrap().unwrap();
    assert!(read.is_err());
    until("the connection is closed", || upstream.pool().active() == 0).await;
}

/// Sends `/`, which is answered by nothing but a session's echo.
async fn occupied(upstream: &Upstream) -> bool {
    let options = SendOptions::default();
    let answer = timeout(
        Duration::from_millis(200),
        upstream.send(get("/"), &options),
    )
    .await;
    !matches!(
        answer,
        Err(_) | Ok(Err(wharf_upstream::SendError::Malformed { .. }))
    )
}

#[tokio::test]
async fn sessions_take_no_connection_from_requests() {
    let (server, upstream) = echoing().await;
    let mut tunnels = Vec::new();
    for nth in 1..=5 {
        tunnels.push(tunnel(&upstream).await);
        let report = &upstream.endpoints()[0];
        assert_eq!((report.active, report.sessions, report.idle), (nth, nth, 0));
    }
    // There is still a connection to be had; this server answers nothing else on it.
    assert!(!occupied(&upstream).await);
    assert_eq!(server.connections(), 6);
    for mut tunnel in tunnels {
        tunnel.write_all(b"x").await.unwrap();
        assert_eq!(tunnel.read_u8().await.unwrap(), b'x');
    }
    until("all are over", || upstream.endpoints()[0].sessions == 0).await;
}

#[tokio::test]
async fn there_are_no_more_sessions_than_there_may_be() {
    let (_server, upstream) = echoing().await;
    let mut settings = upstream.settings();
    settings.pool.protocol.max_sessions_per_endpoint = Count::new(2);
    upstream.apply(settings).unwrap();
    let (first, _second) = (tunnel(&upstream).await, tunnel(&upstream).await);
    let request = || {
        Request::get("/echo")
            .header("connection", "upgrade")
            .header("upgrade", "echo")
    };
    let mut options = SendOptions::default();
    options.upgrade = true;
    let third = request().body(SendBody::default()).unwrap();
    let error = upstream.send(third, &options).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.nothing_was_sent()),
        ("too_many_sessions", true)
    );
    drop(first);
    until("one is over", || upstream.endpoints()[0].sessions == 1).await;
    until("its place is free", || {
        upstream.endpoints()[0].in_flight == 1
    })
    .await;
    let _third = tunnel(&upstream).await;
}
