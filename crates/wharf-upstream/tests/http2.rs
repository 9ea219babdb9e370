//! Connections of HTTP/2 carry many requests, and say themselves when they carry no more.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::Response;
use wharf_pool::config::Count;
use wharf_upstream::SendOptions;

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
