//! Nobody is let in above a limit, and each refusal is the one that is promised.

use std::net::{IpAddr, Ipv4Addr};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wharf_http::pool::config::{Count, PerSecond, WhenFull};
use wharf_http::pool::{CloseReason, RejectReason, ScopeLimits};
use wharf_http::{DrainSettings, ListenerSetup, Server as Builder};
use wharf_testkit::Peer;

use crate::support::{Config, Server, eventually, millis};

fn source(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

async fn full(policy: WhenFull, cap: u32) -> Server {
    Server::with(|c| {
        c.common.max_connections = Count::new(cap);
        c.common.when_full = policy;
    })
    .await
}

#[tokio::test]
async fn a_full_pool_refuses_politely_and_takes_the_next_as_soon_as_there_is_room() {
    let server = full(WhenFull::Refuse, 2).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    assert_eq!(first.get("/hello").await.status, 200);
    assert_eq!(second.get("/hello").await.status, 200);
    let mut third = server.connect().await;
    let refusal = third.response().await;
    assert_eq!(
        (refusal.status, refusal.header("retry-after")),
        (503, Some("1"))
    );
    let _ = third.closed(millis(2000)).await;
    assert_eq!(server.rejected(RejectReason::PoolLimit), 1);
    assert_eq!(server.pool().active(), 2);
    drop(first);
    server.active(1).await;
    let mut fourth = server.connect().await;
    assert_eq!(fourth.get("/hello").await.status, 200);
}

#[tokio::test]
async fn waiting_newcomers_get_a_freed_slot_at_once() {
    let server = full(WhenFull::Wait, 1).await;
    let mut first = server.connect().await;
    assert_eq!(first.get("/hello").await.status, 200);
    let mut waiting = server.connect().await;
    waiting.send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert!(
        waiting.is_quiet(millis(300)).await,
        "it waits in the kernel's backlog"
    );
    assert_eq!(server.pool().active(), 1);
    let freed = Instant::now();
    drop(first);
    assert_eq!(waiting.response().await.status, 200);
    assert!(freed.elapsed() < millis(200), "{:?}", freed.elapsed());
}

#[tokio::test]
async fn who_waits_longer_than_the_queue_timeout_is_refused() {
    let server = Server::with(|c| {
        c.common.max_connections = Count::new(1);
        c.common.when_full = WhenFull::Wait;
        c.common.queue_timeout = millis(300);
    })
    .await;
    let mut first = server.connect().await;
    assert_eq!(first.get("/hello").await.status, 200);
    let begun = Instant::now();
    let mut waiting = server.connect().await;
    assert_eq!(waiting.response().await.status, 503);
    assert!(begun.elapsed() >= millis(290), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_idle_connection_makes_room_and_a_busy_one_does_not() {
    let mut server = full(WhenFull::Reclaim, 2).await;
    let mut busy = server.connect().await;
    busy.send("GET /slow/4000 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    let mut idle = server.connect().await;
    assert_eq!(idle.get("/hello").await.status, 200);
    let mut refused = server.connect().await;
    assert_eq!(
        refused.response().await.status,
        503,
        "idle for less than a second is not idle"
    );
    sleep(millis(1300)).await;
    let mut newcomer = server.connect().await;
    assert_eq!(newcomer.get("/hello").await.status, 200);
    let _ = idle.closed(millis(1000)).await;
    assert_eq!(server.next_reason().await, CloseReason::Reclaimed);
    assert_eq!(busy.response().await.text(), "slow");
}

#[tokio::test]
async fn a_flood_from_one_source_never_costs_another_its_idle_connection() {
    let server = Server::with(|c| {
        c.common.max_connections = Count::new(20);
        c.common.max_connections_per_ip = Count::new(15);
    })
    .await;
    let mut honest = Peer::connect_from(source(2), server.address).await;
    assert_eq!(honest.get("/hello").await.status, 200);
    sleep(millis(1200)).await;
    let mut flood = Vec::new();
    for _ in 0..60 {
        flood.push(Peer::connect_from(source(3), server.address).await);
    }
    for _ in 0..10 {
        let mut peer = Peer::connect_from(source(4), server.address).await;
        let _ = peer
            .try_send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        flood.push(peer);
    }
    sleep(millis(500)).await;
    assert!(server.rejected(RejectReason::IpLimit) >= 45);
    assert_eq!(
        honest.get("/hello").await.status,
        200,
        "the honest client is still there"
    );
}

#[tokio::test]
async fn a_rate_lets_in_a_seconds_worth_and_refuses_the_rest() {
    let server = Server::with(|c| c.common.accept_rate = PerSecond::new(5)).await;
    let mut let_in = 0;
    for _ in 0..20 {
        let mut peer = server.connect().await;
        let _ = peer
            .try_send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n")
            .await;
        let_in += u32::from(
            peer.response_or_close()
                .await
                .is_some_and(|r| r.status == 200),
        );
    }
    assert!((5..=8).contains(&let_in), "{let_in} were let in");
    assert_eq!(server.rejected(RejectReason::Rate), u64::from(20 - let_in));
}

#[tokio::test]
async fn a_storm_never_goes_over_the_cap_while_the_cap_changes() {
    const CAP: u32 = 50;
    let server = full(WhenFull::Refuse, CAP).await;
    let mut storm = JoinSet::new();
    for i in 0..400u64 {
        let address = server.address;
        storm.spawn(async move {
            let mut peer = Peer::connect(address).await;
            let path = if i % 2 == 0 { "/panic" } else { "/slow/30" };
            for _ in 0..3 {
                peer.try_send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"))
                    .await;
                if peer
                    .response_or_close()
                    .await
                    .is_none_or(|response| response.is_last())
                {
                    return;
                }
            }
            if i % 3 == 0 {
                peer.vanish();
            }
        });
    }
    let begun = Instant::now();
    while !storm.is_empty() && begun.elapsed() < millis(10_000) {
        let limit = if begun.elapsed().as_millis() % 20 < 10 {
            CAP
        } else {
            CAP / 2
        };
        let mut config = (*server.pool().config()).clone();
        config.common.max_connections = Count::new(limit);
        server.pool().set_config(config).unwrap();
        let occupancy = server.pool().occupancy();
        assert!(
            occupancy.active + occupancy.reserved <= CAP,
            "{occupancy:?}"
        );
        while storm.try_join_next().is_some() {}
        sleep(millis(5)).await;
    }
    storm.join_all().await;
    server.active(0).await;
    let metrics = server.pool().metrics();
    let closed: u64 = metrics.closed_by_reason.iter().map(|(_, n)| n).sum();
    assert_eq!((closed, metrics.in_flight), (metrics.accepted, 0));
    let rejected: u64 = metrics.rejected_by_reason.iter().map(|(_, n)| n).sum();
    assert_eq!(metrics.accepted + rejected, 400);
    let registry = server.running.registry();
    eventually(
        || registry.records() == 0,
        || format!("{} records", registry.records()),
    )
    .await;
    assert_eq!(registry.sources(), 0);
}

#[tokio::test]
async fn the_limits_of_process_and_listener_hold_for_all_their_pools() {
    let process = ScopeLimits::from(Count::new(3).unwrap());
    let server = Server::start_with(Config::default(), process, DrainSettings::default()).await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = server.connect().await;
        assert_eq!(peer.get("/hello").await.status, 200);
        peers.push(peer);
    }
    let mut refused = server.connect().await;
    assert_eq!(refused.response().await.status, 503);
    assert_eq!(server.rejected(RejectReason::ProcessLimit), 1);
}

#[tokio::test]
async fn behind_a_required_proxy_header_the_announced_address_counts() {
    let limits = {
        let mut limits = ScopeLimits::default();
        limits.max_connections_per_ip = Count::new(2);
        limits
    };
    let trusted = vec!["127.0.0.1/32".parse().unwrap()];
    let app = axum::Router::new().route("/", axum::routing::get(peer_of));
    let setup = ListenerSetup::new("edge".parse().unwrap(), "127.0.0.1:0".parse().unwrap())
        .limits(limits)
        .proxy_protocol(trusted);
    let running = Builder::builder()
        .listener(setup, app)
        .start()
        .await
        .unwrap();
    let address = running.addresses()[0].1;
    let pool = running.registry().all().remove(0);
    let rejected = |wanted| {
        let all = pool.metrics().rejected_by_reason;
        all.into_iter()
            .find(|(reason, _)| *reason == wanted)
            .map_or(0, |(_, n)| n)
    };

    let mut kept = Vec::new();
    for client in [1, 1, 2] {
        let mut peer = Peer::connect(address).await;
        peer.send(format!(
            "PROXY TCP4 192.0.2.{client} 198.51.100.1 4000 80\r\n"
        ))
        .await;
        let response = peer.get("/").await;
        assert_eq!(response.text(), format!("192.0.2.{client}:4000"));
        kept.push(peer);
    }
    let mut third = Peer::connect(address).await;
    third
        .send("PROXY TCP4 192.0.2.1 198.51.100.1 4000 80\r\nGET / HTTP/1.1\r\n")
        .await;
    let _ = third.closed(millis(2000)).await;
    assert_eq!(rejected(RejectReason::IpLimit), 1);

    let mut untrusted = Peer::connect_from(source(9), address).await;
    let _ = untrusted.closed(millis(2000)).await;
    assert_eq!(rejected(RejectReason::UntrustedProxy), 1);

    let mut bare = Peer::connect(address).await;
    bare.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n").await;
    let _ = bare.closed(millis(2000)).await;
    assert!(bare.received().is_empty());
    let closed = pool.metrics().closed_by_reason;
    assert!(
        closed.contains(&(CloseReason::ProxyProtocol, 2)),
        "{closed:?}"
    );
}

async fn peer_of(
    axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<std::net::SocketAddr>,
) -> String {
    peer.to_string()
}
