//! Endpoints that do badly get less, or nothing, until they do well again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wharf_pool::config::Count;
use wharf_upstream::{
    Balance, CheckKind, EndpointAddress, EndpointSetup, HealthCheckSettings, SendOptions,
};

use crate::servers::{Server, ask, get, head, nobody, until, upstream};

/// A server that answers 200 or 503, after a time, as the switch says.
async fn moody(well: &Arc<AtomicBool>) -> Server {
    let well = Arc::clone(well);
    Server::raw(move |_, mut socket| {
        let well = Arc::clone(&well);
        async move {
            let mut seen = Vec::new();
            while let Ok(byte) = socket.read_u8().await {
                seen.push(byte);
                if seen.ends_with(b"\r\n\r\n") {
                    seen.clear();
                    let status = if well.load(Ordering::SeqCst) {
                        "200 OK"
                    } else {
                        "503 No"
                    };
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                    drop(socket.write_all(answer.as_bytes()).await);
                }
            }
        }
    })
    .await
}

fn state(upstream: &wharf_upstream::Upstream, nth: usize) -> &'static str {
    upstream.endpoints()[nth].state.as_str()
}

#[tokio::test]
async fn who_fails_five_times_in_a_row_is_left_alone_then_tried_then_serves_again() {
    let well = Arc::new(AtomicBool::new(false));
    let (bad, good) = (moody(&well).await, Server::good().await);
    let upstream = upstream(&[bad.url("http"), good.url("http")], |setup| {
        setup.settings.balance = Balance::RoundRobin;
        setup.settings.outlier.base_ejection = Duration::from_millis(500);
        setup.settings.outlier.max_ejection = Duration::from_millis(500);
    });
    let mut failed = 0;
    for _ in 0..20 {
        failed += usize::from(ask(&upstream, "/").await.unwrap().0 == 503);
    }
    assert_eq!((failed, state(&upstream, 0)), (5, "ejected"));
    well.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(700)).await;
    for _ in 0..6 {
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    }
    assert_eq!(state(&upstream, 0), "ready");
}

#[tokio::test]
async fn health_checks_take_an_endpoint_out_and_back() {
    let well = Arc::new(AtomicBool::new(true));
    let (moody, good) = (moody(&well).await, Server::good().await);
    let upstream = upstream(&[moody.url("http"), good.url("http")], |setup| {
        let mut checks = HealthCheckSettings::default();
        checks.interval = Duration::from_millis(300);
        setup.settings.health_check = Some(checks);
        setup.settings.balance = Balance::RoundRobin;
        setup.settings.outlier.enabled = false;
    });
    until("it is ready", || state(&upstream, 0) == "ready").await;
    well.store(false, Ordering::SeqCst);
    until("it is down", || state(&upstream, 0) == "down").await;
    for _ in 0..10 {
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    }
    well.store(true, Ordering::SeqCst);
    until("it is back", || state(&upstream, 0) == "ready").await;
    assert_eq!(state(&upstream, 1), "ready");
}

#[tokio::test]
async fn an_endpoint_that_requests_have_put_out_is_tried_when_checks_find_it_well() {
    let well = Arc::new(AtomicBool::new(false));
    let (moody, good) = (moody(&well).await, Server::good().await);
    let upstream = upstream(&[moody.url("http"), good.url("http")], |setup| {
        let mut checks = HealthCheckSettings::default();
        checks.interval = Duration::from_millis(250);
        // It is not down: only requests say that it fails.
        checks.fall = Count::new(1000).unwrap();
        setup.settings.health_check = Some(checks);
        setup.settings.balance = Balance::RoundRobin;
    });
    // It would be left alone for longer than that.
    let until = Instant::now() + Duration::from_secs(25);
    while state(&upstream, 0) != "ejected" {
        assert!(Instant::now() < until, "it is never put out");
        ask(&upstream, "/").await.unwrap();
    }
    well.store(true, Ordering::SeqCst);
    while state(&upstream, 0) != "ready" {
        assert!(Instant::now() < until, "it is not tried");
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_check_is_a_connection_too_where_nothing_else_is_asked() {
    let ((_kept, gone), good) = (nobody(), Server::good().await);
    let upstream = upstream(&[gone, good.url("http")], |setup| {
        let mut checks = HealthCheckSettings::default();
        checks.kind = CheckKind::Tcp;
        checks.interval = Duration::from_millis(250);
        setup.settings.health_check = Some(checks);
        setup.settings.outlier.enabled = false;
    });
    until("it is down", || state(&upstream, 0) == "down").await;
    assert_eq!(state(&upstream, 1), "ready");
}

#[tokio::test]
async fn who_is_slow_gets_less() {
    let (slow, fast) = (Server::good().await, Server::good().await);
    let upstream = upstream(&[slow.url("http"), fast.url("http")], |_| {});
    // Learnt from one answer each.
    for _ in 0..60 {
        let endpoint = upstream
            .endpoints()
            .into_iter()
            .min_by_key(|it| it.metrics.answers)
            .unwrap();
        if endpoint.metrics.answers > 0 {
            break;
        }
        let path = if slow.requests() == 0 { "/?100" } else { "/" };
        ask(&upstream, path).await.unwrap();
    }
    let (before_slow, before_fast) = (slow.requests(), fast.requests());
    let options = SendOptions::default();
    for _ in 0..100 {
        let answer = upstream.send(get("/"), &options).await.unwrap();
        drop(answer);
    }
    let (to_slow, to_fast) = (slow.requests() - before_slow, fast.requests() - before_fast);
    assert!(
        to_slow * 2 < to_fast || to_fast * 2 < to_slow,
        "{to_slow} and {to_fast}"
    );
}

#[tokio::test]
async fn the_same_hash_goes_to_the_same_endpoint() {
    let servers = [
        Server::good().await,
        Server::good().await,
        Server::good().await,
    ];
    let upstream = upstream(&servers.each_ref().map(|it| it.url("http")), |setup| {
        setup.settings.balance = Balance::ConsistentHash;
    });
    for key in ["a", "b", "c", "d"] {
        let mut options = SendOptions::default();
        options.hash = Some(wharf_control::upstream::stable_hash(key.as_bytes()));
        let before = servers.each_ref().map(Server::requests);
        for _ in 0..10 {
            drop(upstream.send(get("/"), &options).await.unwrap());
        }
        let after = servers.each_ref().map(Server::requests);
        let asked = (0..3).filter(|&i| after[i] > before[i]).count();
        assert_eq!(asked, 1, "{key}: {before:?} {after:?}");
    }
}

#[tokio::test]
async fn endpoints_come_and_go_while_requests_are_in_flight() {
    let (first, second) = (Server::good().await, Server::good().await);
    let upstream = upstream(&[first.url("http")], |setup| {
        setup.settings.pool.protocol.min_idle = Count::new(1);
    });
    let under_way = ask(&upstream, "/?500");
    let change = async {
        until("it is under way", || first.requests() == 1).await;
        let mut settings = upstream.settings();
        settings.endpoints = vec![EndpointSetup::from(
            second.url("http").parse::<EndpointAddress>().unwrap(),
        )];
        settings.pool.common.max_connections = Count::new(50);
        let differences = upstream.apply(settings).unwrap();
        assert_eq!(differences.len(), 1);
        assert_eq!(
            ask(&upstream, "/").await.unwrap().1,
            second.address.to_string()
        );
    };
    let (answered, ()) = tokio::join!(under_way, change);
    assert_eq!(answered.unwrap().1, first.address.to_string());
    until("the first has no connection left", || {
        let all = upstream.pool().connections();
        all.iter().all(|it| it.peer() == second.address)
    })
    .await;
}

#[tokio::test]
async fn each_address_of_a_name_is_an_endpoint_where_names_are_looked_up() {
    let server = Server::good().await;
    let upstream = upstream(
        &[format!("http://localhost:{}", server.address.port())],
        |setup| {
            setup.settings.resolve_every = Some(Duration::from_millis(100));
        },
    );
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    until("the name was looked up", || {
        let mut hosts = upstream.endpoints().into_iter().map(|it| it.address.ip());
        hosts.all(|ip| ip.is_some_and(|ip| ip.is_loopback()))
    })
    .await;
    let mut options = SendOptions::default();
    options.retries = 1;
    for _ in 0..5 {
        assert_eq!(
            upstream.send(get("/"), &options).await.unwrap().status(),
            200
        );
    }
}

#[tokio::test]
async fn a_pool_without_an_endpoint_that_can_be_reached_is_unavailable() {
    let (_kept, gone) = nobody();
    let upstream = upstream(&[gone], |_| {});
    until("it is unavailable", || {
        upstream.pool().health().status == wharf_pool::HealthStatus::Unavailable
    })
    .await;
    assert!(upstream.pool().health().message.contains("no_endpoint"));
}

#[tokio::test]
async fn an_endpoint_that_fails_after_it_has_left_takes_nobodys_place_among_the_ejected() {
    let (well, ill) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(false)),
    );
    let (bad, good, more) = (moody(&ill).await, moody(&well).await, Server::good().await);
    // Five requests are with it when it leaves, and each of them fails.
    let going = Server::raw(|_, mut socket| async move {
        head(&mut socket).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(
            socket
                .write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
                .await,
        );
    })
    .await;
    let upstream = upstream(&[going.url("http")], |setup| {
        setup.settings.balance = Balance::RoundRobin;
    });
    let under_way = async {
        let ask = || ask(&upstream, "/");
        let all = tokio::join!(ask(), ask(), ask(), ask(), ask());
        for answered in [all.0, all.1, all.2, all.3, all.4] {
            assert_eq!(answered.unwrap().0, 503);
        }
    };
    let change = async {
        until("they are under way", || {
            upstream.endpoints()[0].in_flight == 5
        })
        .await;
        let mut settings = upstream.settings();
        let next = [&bad, &good, &more].map(|it| it.url("http").parse().unwrap());
        settings.endpoints = next.map(|it: EndpointAddress| it.into()).into();
        upstream.apply(settings).unwrap();
    };
    tokio::join!(under_way, change);
    for _ in 0..20 {
        ask(&upstream, "/").await.unwrap();
    }
    assert_eq!(state(&upstream, 0), "ejected");
}

#[tokio::test]
async fn addresses_that_were_found_stay_when_something_else_changes() {
    let server = Server::good().await;
    let url = format!("http://localhost:{}", server.address.port());
    let upstream = upstream(&[url], |setup| {
        // The first look-up is at once, the next one not within this test.
        setup.settings.resolve_every = Some(Duration::from_hours(1));
    });
    let found = || {
        upstream
            .endpoints()
            .iter()
            .all(|it| it.address.ip().is_some())
    };
    until("the name was looked up", found).await;
    let before: Vec<_> = upstream
        .endpoints()
        .into_iter()
        .map(|it| it.address)
        .collect();
    let mut settings = upstream.settings();
    settings.balance = Balance::RoundRobin;
    upstream.apply(settings).unwrap();
    let after: Vec<_> = upstream
        .endpoints()
        .into_iter()
        .map(|it| it.address)
        .collect();
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_check_that_takes_longer_than_a_connection_may_be_idle_keeps_nobody_busy() {
    let silent = Server::raw(|_, mut socket| async move {
        head(&mut socket).await;
        std::future::pending::<()>().await;
    })
    .await;
    let upstream = upstream(&[silent.url("http")], |setup| {
        let mut checks = HealthCheckSettings::default();
        checks.interval = Duration::from_millis(250);
        checks.timeout = Duration::from_secs(30);
        setup.settings.health_check = Some(checks);
        setup.settings.pool.protocol.min_idle = None;
        setup.settings.pool.protocol.idle_timeout = Duration::from_millis(100);
    });
    until("it is asked", || upstream.pool().active() > 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let busy = || metrics.worker_total_busy_duration(0);
    let (begun, before) = (Instant::now(), busy());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (spent, in_all) = (busy().saturating_sub(before), begun.elapsed());
    assert!(spent * 2 < in_all, "busy for {spent:?} of {in_all:?}");
}

#[tokio::test]
async fn another_weight_keeps_connections_and_what_is_known() {
    let server = Server::good().await;
    let upstream = upstream(&[server.url("http")], |_| {});
    for _ in 0..5 {
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    }
    until("two are idle", || upstream.endpoints()[0].idle == 2).await;
    let ids = || -> Vec<_> {
        let all = upstream.pool().connections();
        all.iter().map(wharf_pool::ConnectionHandle::id).collect()
    };
    let before = ids();
    let mut settings = upstream.settings();
    settings.endpoints[0].weight = 7;
    upstream.apply(settings).unwrap();
    assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    let endpoint = &upstream.endpoints()[0];
    assert_eq!((endpoint.weight, endpoint.metrics.answers), (7, 6));
    let after = ids();
    assert!(
        before.iter().all(|id| after.contains(id)),
        "{before:?} {after:?}"
    );
}

#[tokio::test]
async fn weights_that_change_are_shares_that_change() {
    let (one, other) = (Server::good().await, Server::good().await);
    let upstream = upstream(&[one.url("http"), other.url("http")], |setup| {
        setup.settings.balance = Balance::RoundRobin;
    });
    let mut settings = upstream.settings();
    settings.endpoints[1].weight = 3;
    upstream.apply(settings).unwrap();
    for _ in 0..40 {
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    }
    assert_eq!((one.requests(), other.requests()), (10, 30));
}

#[tokio::test]
async fn an_endpoint_whose_connections_are_all_busy_is_checked_too() {
    // Requests are answered never, checks not at all well.
    let server = Server::raw(|_, mut socket| async move {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            let Ok(byte) = socket.read_u8().await else {
                return;
            };
            seen.push(byte);
        }
        if seen.starts_with(b"GET /health") {
            drop(
                socket
                    .write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
                    .await,
            );
        } else {
            std::future::pending::<()>().await;
        }
    })
    .await;
    let good = Server::good().await;
    let upstream = upstream(&[server.url("http"), good.url("http")], |setup| {
        let mut checks = HealthCheckSettings::default();
        checks.interval = Duration::from_millis(250);
        let path = wharf_pool::config::Value::text("/health");
        checks.path = wharf_pool::config::Setting::read(&path).unwrap();
        setup.settings.health_check = Some(checks);
        setup.settings.pool.protocol.min_idle = None;
        setup.settings.pool.protocol.max_connections_per_endpoint = Count::new(1).unwrap();
        setup.settings.balance = Balance::RoundRobin;
    });
    let options = SendOptions::default();
    let hangs = async {
        let both = tokio::join!(
            upstream.send(get("/x"), &options),
            upstream.send(get("/x"), &options)
        );
        drop(both);
    };
    tokio::select! {
        () = hangs => unreachable!("one of them is never answered"),
        () = until("it is down", || state(&upstream, 0) == "down") => {}
    }
}
