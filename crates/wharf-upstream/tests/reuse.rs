//! A connection is used again, and counted as long as it is there.

use std::collections::BTreeMap;
use std::time::Duration;

use wharf_pool::config::Count;
use wharf_upstream::Balance;

use crate::servers::{Server, ask, until, upstream};

#[tokio::test]
async fn requests_one_after_the_other_go_over_one_connection() {
    for scheme in ["http", "h2c"] {
        let server = Server::good().await;
        let upstream = upstream(&[server.url(scheme)], |setup| {
            let pool = &mut setup.settings.pool.protocol;
            pool.min_idle = None;
            pool.max_connections_per_endpoint = Count::new(1).unwrap();
        });
        for _ in 0..20 {
            let (status, body) = ask(&upstream, "/").await.unwrap();
            assert_eq!(
                (status, body),
                (200, server.address.to_string()),
                "{scheme}"
            );
        }
        assert_eq!(
            (server.connections(), server.requests()),
            (1, 20),
            "{scheme}"
        );
        assert_eq!(upstream.pool().active(), 1);
        assert_eq!(upstream.close(Duration::from_secs(5)).await, 0, "{scheme}");
        assert_eq!(upstream.pool().active(), 0);
    }
}

#[tokio::test]
async fn connections_that_nobody_waits_for_are_there_from_the_beginning() {
    let server = Server::good().await;
    let upstream = upstream(&[server.url("http")], |_| {});
    until("two are idle", || upstream.endpoints()[0].idle == 2).await;
    assert_eq!((upstream.pool().active(), server.connections()), (2, 2));
}

#[tokio::test]
async fn endpoints_take_turns() {
    let servers = [
        Server::good().await,
        Server::good().await,
        Server::good().await,
    ];
    let upstream = upstream(&servers.each_ref().map(|it| it.url("http")), |setup| {
        setup.settings.balance = Balance::RoundRobin;
    });
    let mut answers = BTreeMap::new();
    for _ in 0..30 {
        *answers
            .entry(ask(&upstream, "/").await.unwrap().1)
            .or_insert(0) += 1;
    }
    assert_eq!(answers.into_values().collect::<Vec<_>>(), [10, 10, 10]);
}
