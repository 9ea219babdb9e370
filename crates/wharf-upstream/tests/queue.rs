//! Who has to wait for a connection waits in a bounded queue, for a bounded time.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use wharf_pool::config::Count;
use wharf_upstream::{EndpointAddress, SendOptions, Upstream};

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
    let refused: Vec<_> = upstream
        .refusals()
        .into_iter()
        .filter(|it| it.1 > 0)
        .collect();
    assert_eq!(refused, [("too_many_waiting", 1), ("wait_timeout", 1)]);
}

#[tokio::test]
async fn a_queue_that_is_made_longer_is_longer_at_once() {
    let server = Server::good().await;
    let upstream = narrow(&server, 1, Duration::from_secs(20)).await;
    let busy = join_all([ask(&upstream, "/?1000"), ask(&upstream, "/?1000")]);
    let more = async {
        until("both are under way", || server.requests() == 2).await;
        let mut settings = upstream.settings();
        settings.pool.protocol.max_waiting = Count::new(10).unwrap();
        upstream.apply(settings).unwrap();
        join_all((0..5).map(|_| ask(&upstream, "/"))).await
    };
    let (busy, waited) = tokio::join!(busy, more);
    for answered in busy.into_iter().chain(waited) {
        assert_eq!(answered.unwrap().0, 200);
    }
}

#[tokio::test]
async fn whoever_waits_when_an_upstream_is_replaced_is_answered_by_its_successor() {
    let (before, after) = (Server::good().await, Server::good().await);
    let (old, new) = (
        narrow(&before, 10, Duration::from_secs(20)).await,
        narrow(&after, 10, Duration::from_secs(20)).await,
    );
    let busy = join_all([ask(&old, "/?1000"), ask(&old, "/?1000")]);
    let waits = async {
        until("both are under way", || before.requests() == 2).await;
        ask(&old, "/").await
    };
    let close = async {
        until("one waits", || old.endpoints()[0].waiting == 1).await;
        old.close_for(&new, Duration::from_secs(20)).await
    };
    let (busy, waited, cut) = tokio::join!(busy, waits, close);
    for answered in busy {
        assert_eq!(answered.unwrap().1, before.address.to_string());
    }
    assert_eq!((waited.unwrap().1, cut), (after.address.to_string(), 0));
    // Whoever still has the old one asks the new one from now on.
    assert_eq!(ask(&old, "/").await.unwrap().1, after.address.to_string());
    assert!(old.refusals().iter().all(|(_, n)| *n == 0));
}

#[tokio::test]
async fn who_waits_for_an_endpoint_that_has_left_goes_to_the_successor_too() {
    let (before, other, after) = (
        Server::good().await,
        Server::good().await,
        Server::good().await,
    );
    let old = narrow(&before, 10, Duration::from_secs(20)).await;
    let busy = join_all([ask(&old, "/?4000"), ask(&old, "/?4000")]);
    let waits = async {
        until("both are under way", || before.requests() == 2).await;
        ask(&old, "/").await
    };
    let replace = async {
        until("one waits", || old.endpoints()[0].waiting == 1).await;
        let mut settings = old.settings();
        settings.endpoints = vec![other.url("http").parse::<EndpointAddress>().unwrap().into()];
        old.apply(settings).unwrap();
        let new = upstream(&[after.url("http")], |_| {});
        (old.close_for(&new, Duration::from_secs(20)).await, new)
    };
    let ((busy, ended), (waited, answered), (cut, _new)) = tokio::join!(
        async { (busy.await, Instant::now()) },
        async { (waits.await, Instant::now()) },
        replace
    );
    assert!(busy.iter().all(Result::is_ok), "{busy:?}");
    assert_eq!((waited.unwrap().1, cut), (after.address.to_string(), 0));
    assert!(answered < ended, "not when those before it were answered");
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
