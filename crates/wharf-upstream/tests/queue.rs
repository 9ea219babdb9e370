//! Who has to wait for a connection waits in a bounded queue, for a bounded time.

use std::time::Duration;

use futures_util::future::join_all;
use wharf_pool::config::Count;
use wharf_upstream::{SendOptions, Upstream};

use crate::servers::{Server, ask, get, until, upstream};

/// An upstream with two connections, and both are there.
async fn narrow(server: &Server, waiting: u32, wait: Duration) -> Upstream {
    let upstream = upstream(&[server.url("http")], |setup| {
        let pool = &mut setup.settings.pool.protocol;
        pool.min_idle = Count::new(2);
        pool.max_connections_per_endpoint = Count::new(2).unwrap();
        pool.max_waiting = Count::new(waiting).unwrap();
        pool.wait_timeout = wait;
    });
    until("both are there", || upstream.endpoints()[0].idle == 2).await;
    upstream
}

#[tokio::test]
async fn requests_beyond_the_connections_wait_their_turn() {
    let server = Server::good().await;
    let upstream = narrow(&server, 100, Duration::from_secs(20)).await;
    let all = join_all((0..12).map(|_| ask(&upstream, "/?1"))).await;
    assert!(
        all.iter().all(|it| it.as_ref().unwrap().0 == 200),
        "{all:?}"
    );
    assert!(server.connections() <= 2, "{}", server.connections());
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_long_wait_ends() {
    let server = Server::good().await;
    let upstream = narrow(&server, 1, Duration::from_millis(300)).await;
    let slow = [ask(&upstream, "/?3000"), ask(&upstream, "/?3000")];
    let slow = tokio::time::timeout(Duration::from_secs(20), async {
        let more = async {
            until("both are under way", || server.requests() == 2).await;
            let waits = ask(&upstream, "/");
            let refused = async {
                until("one waits", || upstream.endpoints()[0].waiting == 1).await;
                ask(&upstream, "/").await
            };
            tokio::join!(waits, refused)
        };
        tokio::join!(join_all(slow), more)
    });
    let (slow, (waited, refused)) = slow.await.unwrap();
    assert!(slow.iter().all(Result::is_ok), "{slow:?}");
    assert_eq!(waited.unwrap_err().kind(), "wait_timeout");
    assert_eq!(refused.unwrap_err().kind(), "too_many_waiting");
    assert_eq!(upstream.endpoints()[0].waiting, 0);
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_the_queue() {
    let server = Server::good().await;
    let upstream = narrow(&server, 1, Duration::from_secs(20)).await;
    let busy = join_all([ask(&upstream, "/?1000"), ask(&upstream, "/?1000")]);
    let leaves = async {
        until("both are under way", || server.requests() == 2).await;
        let options = SendOptions::default();
        let waits = upstream.send(get("/"), &options);
        assert!(
            tokio::time::timeout(Duration::from_millis(50), waits)
                .await
                .is_err()
        );
        assert_eq!(upstream.endpoints()[0].waiting, 0);
    };
    tokio::join!(busy, leaves);
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_close_serves_what_is_in_flight_and_dismisses_who_waits() {
    let server = Server::good().await;
    let upstream = narrow(&server, 10, Duration::from_secs(20)).await;
    let busy = join_all([ask(&upstream, "/?1000"), ask(&upstream, "/?1000")]);
    let waits = async {
        until("both are under way", || server.requests() == 2).await;
        ask(&upstream, "/").await
    };
    let close = async {
        until("one waits", || upstream.endpoints()[0].waiting == 1).await;
        upstream.close(Duration::from_secs(20)).await
    };
    let (busy, waited, cut) = tokio::join!(busy, waits, close);
    assert!(busy.iter().all(Result::is_ok), "{busy:?}");
    assert_eq!((waited.unwrap_err().kind(), cut), ("closed", 0));
    assert_eq!(ask(&upstream, "/").await.unwrap_err().kind(), "closed");
}
