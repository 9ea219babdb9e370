//! Endpoints that break off, lie or say nothing: the error says what was sent, and no slot is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf_pool::CloseReason;
use wharf_upstream::{BodyError, ResponseTimeout, SendBody, SendError, SendOptions, Upstream};

use crate::servers::{Server, ask, get, head, nobody, until, upstream};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn says(socket: &mut TcpStream, bytes: &[u8]) {
    // A peer that has gone is what some of these tests are about.
    drop(socket.write_all(bytes).await);
}

fn on_demand(server: &Server) -> Upstream {
    upstream(&[server.url("http")], |setup| {
        let pool = &mut setup.settings.pool.protocol;
        pool.min_idle = None;
        pool.max_connections_per_endpoint = wharf_pool::config::Count::new(1).unwrap();
    })
}

async fn nothing_is_left(upstream: &Upstream) {
    until("no connection is open", || upstream.pool().active() == 0).await;
    let occupancy = upstream.pool().occupancy();
    assert_eq!((occupancy.active, occupancy.reserved), (0, 0));
    let endpoint = &upstream.endpoints()[0];
    assert_eq!(
        (
            endpoint.active,
            endpoint.connecting,
            endpoint.waiting,
            endpoint.in_flight
        ),
        (0, 0, 0, 0)
    );
}

fn post(body: &'static [u8]) -> Request<SendBody> {
    let body = Full::new(Bytes::from_static(body)).map_err(|never| match never {});
    Request::post("/").body(SendBody::new(body)).unwrap()
}

#[tokio::test]
async fn an_endpoint_that_closes_at_once_is_an_error_and_costs_no_slot() {
    let server = Server::raw(|_, socket| async move { drop(socket) }).await;
    let upstream = on_demand(&server);
    for _ in 0..20 {
        let error = ask(&upstream, "/").await.unwrap_err();
        assert!(
            ["connect_failed", "unsent", "broken"].contains(&error.kind()),
            "{error:?}"
        );
    }
    nothing_is_left(&upstream).await;
}

#[tokio::test]
async fn nobody_listening_is_said_at_once_and_nothing_was_sent() {
    let (_kept, address) = nobody();
    let upstream = upstream(&[address], |_| {});
    let error = ask(&upstream, "/").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.nothing_was_sent()),
        ("connect_refused", true)
    );
    nothing_is_left(&upstream).await;
}

/// Answers the first request of each connection, and closes when the second comes.
async fn one_for_each() -> Server {
    Server::raw(|_, mut socket| async move {
        if head(&mut socket).await {
            says(&mut socket, OK).await;
            head(&mut socket).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_that_is_dead_on_reuse_costs_a_safe_request_nothing() {
    let server = one_for_each().await;
    let upstream = on_demand(&server);
    for _ in 0..10 {
        assert_eq!(ask(&upstream, "/").await.unwrap(), (200, "ok".to_owned()));
    }
    assert_eq!(server.connections(), 10);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_twice() {
    let server = one_for_each().await;
    let upstream = on_demand(&server);
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    let mut options = SendOptions::default();
    options.retries = 3;
    let error = upstream.send(post(b"pay"), &options).await.unwrap_err();
    assert_eq!((error.kind(), error.nothing_was_sent()), ("broken", false));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_of_its_body() {
    let server = Server::raw(|_, mut socket| async move {
        head(&mut socket).await;
        says(
            &mut socket,
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        )
        .await;
    })
    .await;
    let upstream = on_demand(&server);
    let answer = upstream
        .send(get("/"), &SendOptions::default())
        .await
        .unwrap();
    let error = answer.into_body().collect().await.unwrap_err();
    assert!(matches!(error, BodyError::Broken { .. }), "{error:?}");
    nothing_is_left(&upstream).await;
    assert_eq!(upstream.endpoints()[0].failures, 1);
}

#[tokio::test]
async fn half_a_head_and_no_http_are_told_apart() {
    for (said, kind) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-le"[..], "broken"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "malformed"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "malformed",
        ),
    ] {
        let server = Server::raw(move |_, mut socket| async move {
            head(&mut socket).await;
            says(&mut socket, said).await;
        })
        .await;
        let upstream = on_demand(&server);
        let error = ask(&upstream, "/").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.nothing_was_sent()),
            (kind, false),
            "{error:?}"
        );
        nothing_is_left(&upstream).await;
    }
}

#[tokio::test]
async fn silence_is_waited_out_for_as_long_as_was_said_and_the_connection_is_cut() {
    let server = Server::raw(|_, mut socket| async move {
        let mut sink = Vec::new();
        drop(socket.read_to_end(&mut sink).await);
    })
    .await;
    let upstream = on_demand(&server);
    let mut options = SendOptions::default();
    options.response_timeout = ResponseTimeout::After(Duration::from_millis(100));
    let error = upstream.send(get("/"), &options).await.unwrap_err();
    assert!(
        matches!(error, SendError::ResponseTimeout { .. }),
        "{error:?}"
    );
    nothing_is_left(&upstream).await;
    let closed = upstream.pool().metrics().closed_by_reason;
    assert!(
        closed.contains(&(CloseReason::RequestTimeout, 1)),
        "{closed:?}"
    );
}

#[tokio::test]
async fn a_request_that_is_given_up_gives_its_connection_up() {
    let server = Server::good().await;
    let upstream = on_demand(&server);
    let options = SendOptions::default();
    let asked = upstream.send(get("/slow?60000"), &options);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), asked)
            .await
            .is_err()
    );
    nothing_is_left(&upstream).await;
    let closed = upstream.pool().metrics().closed_by_reason;
    assert!(closed.contains(&(CloseReason::Abandoned, 1)), "{closed:?}");
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
}

#[tokio::test]
async fn an_answer_that_is_dropped_half_read_gives_its_connection_up() {
    let server = Server::raw(|_, mut socket| async move {
        head(&mut socket).await;
        says(
            &mut socket,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        )
        .await;
        head(&mut socket).await;
    })
    .await;
    let upstream = on_demand(&server);
    let answer = upstream
        .send(get("/"), &SendOptions::default())
        .await
        .unwrap();
    assert_eq!(upstream.endpoints()[0].in_flight, 1);
    drop(answer);
    nothing_is_left(&upstream).await;
}

#[tokio::test]
async fn another_endpoint_is_asked_where_nothing_was_sent() {
    let ((_kept, gone), there) = (nobody(), Server::good().await);
    let addresses = [gone, there.url("http")];
    let upstream = upstream(&addresses, |setup| {
        setup.settings.balance = wharf_upstream::Balance::RoundRobin;
    });
    let mut options = SendOptions::default();
    options.retries = 1;
    for _ in 0..20 {
        let answer = upstream.send(get("/"), &options).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let left_alone = &upstream.endpoints()[0];
    assert_eq!(left_alone.state.as_str(), "ejected");
    assert_eq!(left_alone.metrics.ejections, 1);
}

#[tokio::test]
async fn an_endpoint_that_speaks_unasked_is_not_used() {
    let server = Server::raw(|_, mut socket| async move {
        says(&mut socket, OK).await;
        head(&mut socket).await;
    })
    .await;
    let upstream = on_demand(&server);
    let error = ask(&upstream, "/").await.unwrap_err();
    assert!(
        error.nothing_was_sent() || error.kind() == "broken",
        "{error:?}"
    );
    nothing_is_left(&upstream).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_was_read_is_never_sent_again_however_quickly_it_went() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    // Answers one request of each connection, reads the next, and closes.
    let server = Server::raw(move |_, mut socket| {
        let seen = Arc::clone(&counted);
        async move {
            for answer in [OK, b""] {
                if head(&mut socket).await {
                    seen.fetch_add(1, Ordering::SeqCst);
                    says(&mut socket, answer).await;
                }
            }
        }
    })
    .await;
    let upstream = on_demand(&server);
    let mut options = SendOptions::default();
    options.retries = 1;
    let rounds = 300;
    for _ in 0..rounds {
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
        let request = Request::post("/").body(SendBody::default()).unwrap();
        let error = upstream.send(request, &options).await.unwrap_err();
        assert_eq!((error.kind(), error.nothing_was_sent()), ("broken", false));
    }
    assert_eq!(seen.load(Ordering::SeqCst), 2 * rounds);
}

#[tokio::test]
async fn answers_that_are_none_yet_are_not_listened_to_for_ever() {
    // Some megabytes of them a second, as long as anybody listens.
    let server = Server::raw(|_, mut socket| async move {
        head(&mut socket).await;
        let many = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100);
        while socket.write_all(&many).await.is_ok() {}
    })
    .await;
    let upstream = on_demand(&server);
    let mut options = SendOptions::default();
    options.response_timeout = ResponseTimeout::After(Duration::from_millis(300));
    let error = upstream.send(get("/"), &options).await.unwrap_err();
    assert_eq!(error.kind(), "response_timeout");
    nothing_is_left(&upstream).await;
}

#[tokio::test]
async fn a_head_of_a_mebibyte_is_malformed_and_its_connection_closed() {
    let server = Server::raw(|_, mut socket| async move {
        head(&mut socket).await;
        says(&mut socket, b"HTTP/1.1 200 OK\r\n").await;
        let field = format!("x: {}\r\n", "y".repeat(1000));
        for _ in 0..1000 {
            says(&mut socket, field.as_bytes()).await;
        }
        drop(socket.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let upstream = on_demand(&server);
    let error = ask(&upstream, "/").await.unwrap_err();
    assert_eq!(error.kind(), "malformed");
    nothing_is_left(&upstream).await;
}
