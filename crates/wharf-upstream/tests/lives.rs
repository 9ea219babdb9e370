//! Connections end when they are idle or old, and the upstream keeps as many as it is asked for.

use std::time::Duration;

use futures_util::future::join_all;
use http::Response;
use wharf_pool::CloseReason;
use wharf_pool::config::Count;
use wharf_upstream::Upstream;

use crate::servers::{Server, ask, nobody, until, upstream};

fn closed(upstream: &Upstream, reason: CloseReason) -> u64 {
    let all = upstream.pool().metrics().closed_by_reason;
    all.into_iter()
        .find(|(it, _)| *it == reason)
        .map_or(0, |(_, count)| count)
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time() {
    for scheme in ["http", "h2c"] {
        let server = Server::good().await;
        let upstream = upstream(&[server.url(scheme)], |setup| {
            let pool = &mut setup.settings.pool.protocol;
            pool.min_idle = None;
            pool.idle_timeout = Duration::from_millis(300);
        });
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
        until("none is open", || upstream.pool().active() == 0).await;
        assert!(closed(&upstream, CloseReason::Idle) >= 1, "{scheme}");
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn what_the_endpoint_says_of_its_patience_is_kept_to() {
    let server = Server::raw(|_, socket| async move {
        let service = hyper::service::service_fn(|_| async {
            let answer = Response::builder().header("keep-alive", "timeout=1");
            answer.body(String::new())
        });
        let connection = hyper::server::conn::http1::Builder::new();
        drop(
            connection
                .serve_connection(hyper_util::rt::TokioIo::new(socket), service)
                .await,
        );
    })
    .await;
    let upstream = upstream(&[server.url("http")], |setup| {
        let pool = &mut setup.settings.pool.protocol;
        pool.min_idle = None;
        pool.max_connections_per_endpoint = Count::new(1).unwrap();
    });
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    until("none is open", || upstream.pool().active() == 0).await;
    assert_eq!(closed(&upstream, CloseReason::Idle), 1);
}

#[tokio::test]
async fn an_old_connection_goes_when_its_successor_is_there() {
    for scheme in ["http", "h2c"] {
        let server = Server::good().await;
        let upstream = upstream(&[server.url(scheme)], |setup| {
            setup.settings.pool.protocol.min_idle = Count::new(1);
            setup.settings.pool.common.max_age = Some(Duration::from_millis(500));
        });
        let begun = tokio::time::Instant::now();
        while closed(&upstream, CloseReason::MaxAge) < 3 {
            assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(begun.elapsed() < Duration::from_secs(30), "{scheme}");
        }
    }
}

#[tokio::test]
async fn a_connection_serves_no_more_requests_than_it_may() {
    let server = Server::good().await;
    let upstream = upstream(&[server.url("http")], |setup| {
        setup.settings.pool.protocol.min_idle = None;
        setup.settings.pool.protocol.max_connections_per_endpoint = Count::new(1).unwrap();
        setup.settings.pool.common.max_requests = Count::new(3);
    });
    for _ in 0..9 {
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    }
    assert_eq!(server.connections(), 3);
    until("all three are closed", || {
        closed(&upstream, CloseReason::MaxRequests) == 3
    })
    .await;
}

#[tokio::test]
async fn all_endpoints_together_hold_no_more_than_the_pool_may() {
    let servers = [
        Server::good().await,
        Server::good().await,
        Server::good().await,
    ];
    let upstream = upstream(&servers.each_ref().map(|it| it.url("http")), |setup| {
        setup.settings.balance = wharf_upstream::Balance::RoundRobin;
        setup.settings.pool.protocol.min_idle = None;
        setup.settings.pool.protocol.wait_timeout = Duration::from_secs(20);
        setup.settings.pool.common.max_connections = Count::new(4);
    });
    let watch = async {
        loop {
            let occupancy = upstream.pool().occupancy();
            assert!(occupancy.active + occupancy.reserved <= 4, "{occupancy:?}");
            tokio::task::yield_now().await;
        }
    };
    let all = join_all((0..60).map(|_| ask(&upstream, "/?20")));
    tokio::select! {
        () = watch => {}
        all = all => assert!(all.iter().all(|it| it.as_ref().unwrap().0 == 200), "{all:?}"),
    }
}

#[tokio::test]
async fn an_upstream_is_ready_when_four_of_five_endpoints_have_a_connection() {
    let servers = [
        Server::good().await,
        Server::good().await,
        Server::good().await,
        Server::good().await,
    ];
    let (_kept, gone) = nobody();
    let mut urls: Vec<_> = servers.iter().map(|it| it.url("http")).collect();
    urls.push(gone);
    let warmth = upstream(&urls, |_| {}).ready().await;
    assert_eq!(
        (warmth.warm, warmth.endpoints, warmth.is_enough()),
        (4, 5, true)
    );
}

#[tokio::test]
async fn an_upstream_that_nobody_has_any_more_lets_its_connections_go() {
    let server = Server::good().await;
    let upstream = upstream(&[server.url("http")], |_| {});
    until("two are idle", || upstream.endpoints()[0].idle == 2).await;
    let pool = upstream.pool().clone();
    drop(upstream);
    until("none is open", || pool.active() == 0).await;
}
