//! Connections of HTTP/2 carry many requests, and say themselves when they carry no more.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_pool::config::Count;
use wharf_upstream::{SendBody, SendOptions};

use crate::servers::{Server, ask, get, until, upstream};

#[tokio::test]
async fn many_requests_at_once_share_one_connection_made_by_one_attempt() {
    let server = Server::good().await;
    let upstream = upstream(&[server.url("h2c")], |setup| {
        setup.settings.pool.protocol.min_idle = None;
    });
    let all = join_all((0..50).map(|_| ask(&upstream, "/?20"))).await;
    assert!(
        all.iter().all(|it| it.as_ref().unwrap().0 == 200),
        "{all:?}"
    );
    assert_eq!((server.connections(), server.requests()), (1, 50));
}

#[tokio::test]
async fn a_full_connection_gets_a_second_one_beside_it() {
    let server = Server::good().await;
    let upstream = upstream(&[server.url("h2c")], |setup| {
        let pool = &mut setup.settings.pool.protocol;
        pool.min_idle = None;
        pool.max_streams = Count::new(4).unwrap();
    });
    let all = join_all((0..12).map(|_| ask(&upstream, "/?300"))).await;
    assert!(
        all.iter().all(|it| it.as_ref().unwrap().0 == 200),
        "{all:?}"
    );
    assert!(server.connections() >= 2, "{}", server.connections());
}

/// Answers with what `decide` says of the number of the request on its connection, and of the connection.
async fn scripted(decide: impl Fn(usize, usize) -> Said + Clone + Send + 'static) -> Server {
    Server::raw(move |connection, socket| {
        let decide = decide.clone();
        async move {
            let mut served = h2::server::handshake(socket).await.unwrap();
            let mut request = 0;
            while let Some(Ok((_, mut respond))) = served.accept().await {
                match decide(connection, request) {
                    Said::Answer => {
                        let mut body = respond.send_response(Response::new(()), false).unwrap();
                        body.send_data(Bytes::from_static(b"ok"), true).unwrap();
                    }
                    Said::Refuse => respond.send_reset(h2::Reason::REFUSED_STREAM),
                    Said::Goodbye => {
                        served.abrupt_shutdown(h2::Reason::NO_ERROR);
                        break;
                    }
                }
                request += 1;
            }
            // What is to be sent yet is sent by it.
            while let Some(Ok(_)) = served.accept().await {}
        }
    })
    .await
}

enum Said {
    Answer,
    Refuse,
    Goodbye,
}

#[tokio::test]
async fn a_refused_stream_was_not_sent_and_may_be_sent_again() {
    let server = scripted(|_, request| {
        if request == 0 {
            Said::Refuse
        } else {
            Said::Answer
        }
    })
    .await;
    let upstream = upstream(&[server.url("h2c")], |setup| {
        setup.settings.pool.protocol.min_idle = None;
    });
    let error = ask(&upstream, "/").await.unwrap_err();
    assert_eq!((error.kind(), error.nothing_was_sent()), ("unsent", true));
    let mut options = SendOptions::default();
    options.retries = 1;
    let answer = upstream.send(get("/"), &options).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.connections()), (200, 1));
}

#[tokio::test]
async fn after_a_goaway_requests_go_over_another_connection() {
    let server = scripted(|connection, request| {
        if connection == 0 && request == 1 {
            Said::Goodbye
        } else {
            Said::Answer
        }
    })
    .await;
    let upstream = upstream(&[server.url("h2c")], |setup| {
        setup.settings.pool.protocol.min_idle = None;
    });
    let mut options = SendOptions::default();
    options.retries = 1;
    for _ in 0..3 {
        let answer = upstream.send(get("/"), &options).await.unwrap();
        assert_eq!(answer.status(), 200);
        drop(answer);
    }
    assert_eq!(server.connections(), 2);
    assert_eq!(upstream.close(Duration::from_secs(5)).await, 0);
    until("no connection is open", || upstream.pool().active() == 0).await;
}

#[tokio::test]
async fn an_extended_connect_becomes_a_tunnel() {
    let server = Server::raw(|_, socket| async move {
        let mut builder = h2::server::Builder::new();
        builder.enable_connect_protocol();
        let mut served = builder.handshake::<_, Bytes>(socket).await.unwrap();
        let mut echoes = tokio::task::JoinSet::new();
        while let Some(Ok((request, mut respond))) = served.accept().await {
            let protocol = request.extensions().get::<h2::ext::Protocol>();
            assert_eq!(protocol.map(h2::ext::Protocol::as_str), Some("websocket"));
            let mut out = respond.send_response(Response::new(()), false).unwrap();
            let mut body = request.into_body();
            echoes.spawn(async move {
                while let Some(Ok(data)) = body.data().await {
                    drop(body.flow_control().release_capacity(data.len()));
                    drop(out.send_data(data, false));
                }
                drop(out.send_data(Bytes::new(), true));
            });
        }
    })
    .await;
    let upstream = upstream(&[server.url("h2c")], |_| {});
    until("it is connected", || upstream.warmth().is_enough()).await;
    let request = Request::connect("http://example/chat");
    let mut request = request.body(SendBody::default()).unwrap();
    request
        .extensions_mut()
        .insert(hyper::ext::Protocol::from_static("websocket"));
    let mut answer = upstream
        .send(request, &SendOptions::default())
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let mut tunnel = TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap());
    tunnel.write_all(b"hello").await.unwrap();
    let mut echoed = [0; 5];
    tunnel.read_exact(&mut echoed).await.unwrap();
    assert_eq!((&echoed, upstream.endpoints()[0].in_flight), (b"hello", 1));
    drop(tunnel);
    // Where other requests share the connection, the body is what keeps the place.
    drop(answer);
    until("nothing is in flight", || {
        upstream.endpoints()[0].in_flight == 0
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_no_longer_answers_pings_is_left() {
    let server = Server::raw(|_, mut socket| async move {
        // The preface and settings, and nothing more for ever.
        socket.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
        drop(socket.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let upstream = upstream(&[server.url("h2c")], |setup| {
        let pool = &mut setup.settings.pool.protocol;
        pool.min_idle = None;
        pool.ping_interval = Some(Duration::from_millis(100));
        pool.ping_timeout = Duration::from_millis(100);
    });
    let error = ask(&upstream, "/").await.unwrap_err();
    assert_eq!(error.kind(), "broken");
    until("no connection is open", || upstream.pool().active() == 0).await;
}
