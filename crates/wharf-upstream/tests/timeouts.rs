//! Who takes too long is told from who is waited for.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_upstream::{BodyError, BoxError, ResponseTimeout, SendBody, SendOptions};

use crate::servers::{Server, get, head, until, upstream};

#[tokio::test]
async fn an_answer_that_pauses_for_too_long_is_broken_off() {
    let server = Server::raw(|_, mut socket| async move {
        head(&mut socket).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        socket.write_all(head).await.unwrap();
        drop(socket.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let upstream = upstream(&[server.url("http")], |setup| {
        setup.settings.pool.protocol.body_timeout = Some(Duration::from_millis(100));
    });
    let answer = upstream
        .send(get("/"), &SendOptions::default())
        .await
        .unwrap();
    let error = answer.into_body().collect().await.unwrap_err();
    assert!(matches!(error, BodyError::Timeout { .. }), "{error:?}");
}

/// A body of these pieces, each after a time.
fn slowly(pieces: usize, size: usize, every: Duration) -> SendBody {
    let stream = futures_util::stream::unfold(0, move |nth| async move {
        if nth == pieces {
            return None;
        }
        tokio::time::sleep(every).await;
        let frame = Frame::data(Bytes::from(vec![b'x'; size]));
        Some((Ok::<_, BoxError>(frame), nth + 1))
    });
    SendBody::new(StreamBody::new(stream))
}

#[tokio::test]
async fn the_time_of_a_caller_who_sends_slowly_is_not_the_endpoints() {
    let server = Server::good().await;
    let upstream = upstream(&[server.url("http")], |setup| {
        setup.settings.pool.protocol.send_timeout = Some(Duration::from_millis(400));
    });
    let mut options = SendOptions::default();
    options.response_timeout = ResponseTimeout::After(Duration::from_millis(400));
    // Three times as long as either limit.
    let body = slowly(12, 10, Duration::from_millis(100));
    let request = Request::post("/echo").body(body).unwrap();
    let answer = upstream.send(request, &options).await.unwrap();
    let echoed = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(echoed.len(), 120);
}

#[tokio::test]
async fn an_endpoint_that_takes_nothing_of_a_body_is_given_up() {
    let server = Server::raw(|_, socket| async move {
        let _open = socket;
        tokio::time::sleep(Duration::from_mins(1)).await;
    })
    .await;
    let upstream = upstream(&[server.url("http")], |setup| {
        setup.settings.pool.protocol.send_timeout = Some(Duration::from_millis(200));
    });
    let body = slowly(10_000, 64 * 1024, Duration::ZERO);
    let request = Request::post("/").body(body).unwrap();
    let error = upstream
        .send(request, &SendOptions::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.nothing_was_sent()),
        ("send_timeout", false)
    );
}

#[tokio::test]
async fn a_deadline_ends_the_wait_for_the_head() {
    let server = Server::good().await;
    let upstream = upstream(&[server.url("h2c")], |_| {});
    until("it is connected", || upstream.warmth().is_enough()).await;
    let mut options = SendOptions::default();
    options.deadline = Some(tokio::time::Instant::now() + Duration::from_secs(1));
    let error = upstream.send(get("/?20000"), &options).await.unwrap_err();
    assert_eq!(error.kind(), "deadline");
    // The stream was reset, the connection goes on.
    assert_eq!(crate::servers::ask(&upstream, "/").await.unwrap().0, 200);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_malformed() {
    let server = Server::raw(|_, mut socket| async move {
        head(&mut socket).await;
        let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(200_000));
        drop(socket.write_all(head.as_bytes()).await);
        drop(socket.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let upstream = upstream(&[server.url("http")], |_| {});
    let error = upstream
        .send(get("/"), &SendOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "malformed");
}

#[tokio::test]
async fn a_body_that_fails_is_the_callers_fault() {
    for scheme in ["http", "h2c"] {
        let server = Server::good().await;
        let upstream = upstream(&[server.url(scheme)], |_| {});
        let frames = vec![
            Ok(Frame::data(Bytes::from_static(b"half"))),
            Err(BoxError::from("the client has gone")),
        ];
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let request = Request::post("/echo").body(SendBody::new(body)).unwrap();
        let error = upstream
            .send(request, &SendOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), "request_body", "{scheme}: {error:?}");
        assert_eq!(upstream.endpoints()[0].failures, 0);
    }
}
