//! After a 101 the connection is somebody else's, and counted until he drops it.

use http::Request;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_pool::config::Count;
use wharf_upstream::{SendBody, SendOptions};

use crate::servers::{Server, until, upstream};

#[tokio::test]
async fn a_tunnel_keeps_its_place_until_its_bytes_go() {
    let server = Server::raw(|_, mut socket| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
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
    let request = Request::get("/echo")
        .header("connection", "upgrade")
        .header("upgrade", "echo");
    let mut options = SendOptions::default();
    options.upgrade = true;
    let request = request.body(SendBody::default()).unwrap();
    let mut answer = upstream.send(request, &options).await.unwrap();
    assert_eq!(answer.status(), 101);
    let upgraded = hyper::upgrade::on(&mut answer);
    assert!(
        answer
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
    let mut tunnel = TokioIo::new(upgraded.await.unwrap());
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
