//! Many workers, many requests, some given up, some half read, endpoints that break: nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use wharf_control::Random;
use wharf_pool::config::Count;
use wharf_upstream::{Retry, SendOptions, Upstream};

use crate::servers::{Server, get, head, until, upstream};

/// Answers some requests and breaks off others, in the middle of them.
async fn breaking() -> Server {
    Server::raw(|nth, mut socket| async move {
        let mut random = Random::new(nth as u64);
        while head(&mut socket).await {
            let answer = &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"[..];
            let said = if random.below(8) == 0 {
                random.below(answer.len())
            } else {
                answer.len()
            };
            if socket.write_all(&answer[..said]).await.is_err() || said < answer.len() {
                return;
            }
        }
    })
    .await
}

async fn one(upstream: &Upstream, seed: u64, answered: &AtomicUsize) {
    let mut random = Random::new(seed);
    let mut options = SendOptions::default();
    options.retries = 1;
    options.retry = Retry::Idempotent;
    let path = format!("/?{}", random.below(5));
    let asked = upstream.send(get(&path), &options);
    let patience = Duration::from_millis(if random.below(10) == 0 { 1 } else { 20_000 });
    let Ok(Ok(answer)) = tokio::time::timeout(patience, asked).await else {
        return;
    };
    if random.below(10) > 0 && answer.into_body().collect().await.is_ok() {
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

async fn storm(endpoints: &[String]) {
    let upstream = upstream(endpoints, |setup| {
        setup.settings.pool.protocol.max_connections_per_endpoint = Count::new(8).unwrap();
        setup.settings.pool.protocol.max_waiting = Count::new(500).unwrap();
        setup.settings.pool.common.max_connections = Count::new(12);
        setup.settings.outlier.enabled = false;
    });
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for client in 0..64_u64 {
        let (upstream, answered) = (upstream.clone(), Arc::clone(&answered));
        clients.spawn(async move {
            for nth in 0..50 {
                one(&upstream, client * 1000 + nth, &answered).await;
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
        let occupancy = upstream.pool().occupancy();
        assert!(occupancy.active + occupancy.reserved <= 12, "{occupancy:?}");
    }
    let answered = answered.load(Ordering::Relaxed);
    assert!(answered > 64 * 50 / 2, "{answered} of {}", 64 * 50);
    until("nothing is in flight", || {
        upstream.endpoints().iter().all(|it| {
            it.in_flight == 0 && it.waiting == 0 && it.active == it.idle && it.connecting == 0
        })
    })
    .await;
    assert_eq!(upstream.close(Duration::from_secs(10)).await, 0);
    let occupancy = upstream.pool().occupancy();
    assert_eq!((occupancy.active, occupancy.reserved), (0, 0));
    let (metrics, ended) = (
        upstream.pool().metrics(),
        upstream.pool().metrics().closed_by_reason,
    );
    assert_eq!(
        ended.iter().map(|(_, count)| count).sum::<u64>(),
        metrics.accepted
    );
    assert_eq!(metrics.in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_http1_leaves_nothing_behind() {
    let servers = [Server::good().await, breaking().await];
    storm(&servers.each_ref().map(|it| it.url("http"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_http2_leaves_nothing_behind() {
    let servers = [Server::good().await, Server::good().await];
    storm(&servers.each_ref().map(|it| it.url("h2c"))).await;
}
