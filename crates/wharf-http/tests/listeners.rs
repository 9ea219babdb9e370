//! Listeners come, change and go while a server runs, and nobody else notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wharf_http::pool::config::Count;
use wharf_http::pool::{CloseReason, ListenerName, PoolName, ScopeLimits};
use wharf_http::{DrainSettings, ListenerSetup, Protocol, Running, Server, StartError};
use wharf_testkit::http2::Raw;
use wharf_testkit::{Closed, Peer};

use crate::app::app;
use crate::support::{Config, eventually, millis};

fn name(name: &str) -> ListenerName {
    name.parse().expect("it is a name")
}

fn setup(listener: &str, address: &str) -> ListenerSetup {
    ListenerSetup::new(name(listener), address.parse().expect("it is an address"))
}

async fn start() -> Running {
    let server = Server::builder().listener(setup("a", "127.0.0.1:0"), app());
    server.start().await.expect("it starts")
}

fn address_of(running: &Running, listener: &str) -> SocketAddr {
    let all = running.addresses();
    let found = all.into_iter().find(|(it, _)| *it == name(listener));
    found.expect("it listens").1
}

/// An address that nobody listens on.
fn free() -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    socket.expect("there is one").to_string()
}

fn closed(running: &Running, pool: &str, reason: CloseReason) -> u64 {
    let pool: PoolName = pool.parse().expect("it is a name");
    let metrics = running
        .registry()
        .get(&pool)
        .expect("it is there")
        .metrics();
    let found = metrics.closed_by_reason.iter().find(|(r, _)| *r == reason);
    found.map_or(0, |(_, n)| *n)
}

async fn is_gone(running: &Running, listener: &str) {
    let listener = name(listener);
    eventually(
        || running.registry().listener(&listener).is_none(),
        || "the listener is not forgotten".to_owned(),
    )
    .await;
}

#[tokio::test]
async fn a_listener_comes_and_goes_and_the_others_stay() {
    let running = start().await;
    let mut stays = Peer::connect(address_of(&running, "a")).await;
    assert_eq!(stays.get("/hello").await.status, 200);

    let change = running.change().listener(setup("b", "127.0.0.1:0"), app());
    change.apply().await.expect("the port is free");
    let b = address_of(&running, "b");
    let mut idle = Peer::connect(b).await;
    let mut busy = Peer::connect(b).await;
    assert_eq!(idle.get("/hello").await.status, 200);
    busy.send("GET /slow/600 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    sleep(millis(100)).await;

    let change = running.change().remove(name("b"));
    change.apply().await.expect("there is nothing to open");
    assert_eq!(running.addresses().len(), 1);
    let answer = busy.response().await;
    assert!(answer.text() == "slow" && answer.is_last());
    assert_eq!(idle.closed(Duration::from_secs(5)).await.0, Closed::End);
    assert!(TcpStream::connect(b).await.is_err());
    is_gone(&running, "b").await;
    let pools = running.registry().all();
    let pools: Vec<_> = pools.iter().map(|it| it.name().to_string()).collect();
    assert_eq!(pools, ["a/http", "a/websocket"]);
    assert!(!stays.get("/hello").await.is_last());
}

#[tokio::test]
async fn a_removed_listener_is_cut_at_the_deadline_of_a_drain() {
    let running = start().await;
    let mut drain = DrainSettings::default();
    drain.timeout = millis(300);
    running.set_drain(drain);
    let mut busy = Peer::connect(address_of(&running, "a")).await;
    busy.send("GET /slow/60000 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    eventually(
        || running.registry().all()[0].metrics().in_flight == 1,
        || "the request does not come".to_owned(),
    )
    .await;
    running
        .change()
        .remove(name("a"))
        .apply()
        .await
        .expect("it goes");
    is_gone(&running, "a").await;
    assert_eq!(running.registry().occupancy().active, 0);
}

#[tokio::test]
async fn one_port_that_is_taken_undoes_the_whole_change() {
    let running = start().await;
    let a = address_of(&running, "a");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("it is free");
    let taken = taken.local_addr().map(|address| (taken, address));
    let (_held, taken) = taken.expect("it is bound");
    let free = free();
    let change = running
        .change()
        .listener(setup("b", &free), app())
        .listener(setup("c", &taken.to_string()), app())
        .remove(name("a"));
    let refused = change.apply().await.expect_err("the port is taken");
    assert!(matches!(refused, StartError::Listen { listener, .. } if listener == name("c")));
    assert_eq!(running.addresses(), [(name("a"), a)]);
    assert_eq!(running.registry().listeners().len(), 1);
    assert!(TcpStream::connect(&free).await.is_err());
    assert_eq!(Peer::connect(a).await.get("/hello").await.status, 200);
}

#[tokio::test]
async fn a_name_given_twice_changes_nothing() {
    let running = start().await;
    let twice = running
        .change()
        .listener(setup("b", "127.0.0.1:0"), app())
        .listener(setup("b", "127.0.0.1:0"), app());
    assert!(matches!(twice.apply().await, Err(StartError::Registry(_))));
    assert_eq!(running.registry().listeners().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_stays_turns_nobody_away() {
    let running = start().await;
    let address = address_of(&running, "a");
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let over = Arc::clone(&over);
        clients.spawn(async move {
            let mut served = 0;
            while !over.load(Ordering::Relaxed) {
                let mut peer = Peer::connect(address).await;
                assert_eq!(peer.get("/hello").await.status, 200);
                served += 1;
            }
            served
        });
    }
    let mut kept = Peer::connect(address).await;
    for n in 1..=200_u32 {
        let mut config = Config::default();
        config.common.max_connections = Count::new(1000 + n);
        let setup = setup("a", "127.0.0.1:0").pool(Protocol::Http, config);
        let change = running.change().listener(setup, app());
        change.apply().await.expect("the address is its own");
        assert_eq!(address_of(&running, "a"), address);
        assert_eq!(
            running.registry().all()[0].occupancy().limit,
            Some(1000 + n)
        );
        assert!(!kept.get("/hello").await.is_last());
        sleep(millis(2)).await;
    }
    over.store(true, Ordering::Relaxed);
    let served: u32 = clients.join_all().await.into_iter().sum();
    assert!(served > 200, "only {served} were served");
    assert_eq!(running.registry().listeners().len(), 1);
}

#[tokio::test]
async fn a_change_in_place_serves_the_new_application_to_newcomers() {
    let running = start().await;
    let address = address_of(&running, "a");
    let mut before = Peer::connect(address).await;
    assert_eq!(before.get("/hello").await.status, 200);
    let other = Router::new().route("/other", get(async || "other"));
    let change = running.change().listener(setup("a", "127.0.0.1:0"), other);
    change.apply().await.expect("the address is its own");
    assert_eq!(before.get("/hello").await.status, 200);
    let mut after = Peer::connect(address).await;
    assert_eq!(after.get("/other").await.text(), "other");
}

#[tokio::test]
async fn a_listener_moves_and_its_pool_keeps_counting() {
    let running = start().await;
    let old = address_of(&running, "a");
    let mut idle = Peer::connect(old).await;
    assert_eq!(idle.get("/hello").await.status, 200);
    let change = running.change().listener(setup("a", "127.0.0.2:0"), app());
    change.apply().await.expect("the port is free");
    let new = address_of(&running, "a");
    assert_ne!(old, new);
    let mut stays = Peer::connect(new).await;
    assert_eq!(stays.get("/hello").await.status, 200);
    assert_eq!(idle.closed(Duration::from_secs(5)).await.0, Closed::End);
    eventually(
        || closed(&running, "a/http", CloseReason::Config) == 1,
        || "it has not been asked".to_owned(),
    )
    .await;
    assert!(TcpStream::connect(old).await.is_err());
    // The drain of the old address is over, and has taken nothing with it.
    sleep(Duration::from_millis(300)).await;
    assert!(!stays.get("/hello").await.is_last());
    assert_eq!(running.registry().all()[0].metrics().requests, 3);
}

#[tokio::test]
async fn a_listener_gets_another_name_and_its_socket_stays() {
    let running = start().await;
    let address = free();
    let a = running.change().remove(name("a"));
    let a = a.listener(setup("b", &address), app());
    a.apply().await.expect("the port is free");
    let mut before = Peer::connect(address.parse().expect("it is an address")).await;
    assert_eq!(before.get("/hello").await.status, 200);
    let renamed = running.change().remove(name("b"));
    let renamed = renamed.listener(setup("c", &address), app());
    renamed
        .apply()
        .await
        .expect("the address comes free by the same change");
    let mut after = Peer::connect(address_of(&running, "c")).await;
    assert_eq!(after.get("/hello").await.status, 200);
    assert_eq!(before.closed(Duration::from_secs(5)).await.0, Closed::End);
    is_gone(&running, "b").await;
    assert!(!after.get("/hello").await.is_last());
    assert_eq!(running.addresses().len(), 1);
}

#[tokio::test]
async fn a_socket_that_was_handed_in_stays_with_its_address() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = socket.local_addr().expect("it is bound");
    let first = setup("a", "127.0.0.1:1").socket(socket);
    let running = Server::builder().listener(first, app()).start().await;
    let running = running.expect("its socket is there");
    let mut peer = Peer::connect(address).await;
    assert!(!peer.get("/hello").await.is_last());
    let same = running
        .change()
        .listener(setup("a", &address.to_string()), app());
    same.apply().await.expect("it is not bound again");
    assert!(!peer.get("/hello").await.is_last(), "it stays");
    let mut newcomer = Peer::connect(address_of(&running, "a")).await;
    assert_eq!(newcomer.get("/hello").await.status, 200);
}

#[tokio::test]
async fn two_listeners_exchange_their_addresses() {
    let running = start().await;
    let (one, two) = (free(), free());
    for (first, second) in [(&one, &two), (&two, &one), (&one, &two)] {
        let change = running
            .change()
            .listener(setup("a", first), app())
            .listener(setup("b", second), app());
        change.apply().await.expect("the addresses are their own");
        for (listener, address) in [("a", first), ("b", second)] {
            assert_eq!(address_of(&running, listener).to_string(), *address);
            let mut peer = Peer::connect(address_of(&running, listener)).await;
            assert_eq!(peer.get("/hello").await.status, 200);
        }
    }
    assert_eq!(running.registry().listeners().len(), 2);
}

#[tokio::test]
async fn a_protocol_goes_and_the_others_stay() {
    let with = |protocols: &[Protocol]| {
        let setup = setup("a", "127.0.0.1:0");
        let pool =
            |setup: ListenerSetup, protocol: &Protocol| setup.pool(*protocol, protocol.defaults());
        protocols.iter().fold(setup, pool)
    };
    let both = with(&[Protocol::Http, Protocol::Http2]);
    let server = Server::builder().listener(both, app());
    let running = server.start().await.expect("it starts");
    let address = address_of(&running, "a");
    let mut stays = Peer::connect(address).await;
    assert_eq!(stays.get("/hello").await.status, 200);
    let mut leaves = Raw::greeted(Peer::connect(address).await).await;
    let http2: PoolName = "a/http2".parse().expect("it is a name");
    let pool = running.registry().get(&http2).expect("it is there");
    eventually(|| pool.active() == 1, || "it is not in the pool".to_owned()).await;
    let change = running.change().listener(with(&[Protocol::Http]), app());
    change.apply().await.expect("the address is its own");
    assert_eq!(address_of(&running, "a"), address);
    leaves.until_closed().await;
    eventually(
        || running.registry().get(&http2).is_none(),
        || "the pool is not forgotten".to_owned(),
    )
    .await;
    assert!(!stays.get("/hello").await.is_last());
    assert_eq!(Peer::connect(address).await.get("/hello").await.status, 200);
}

#[tokio::test]
async fn a_server_that_drains_opens_nothing() {
    let running = start().await;
    running.drain().await;
    let change = running.change().listener(setup("b", "127.0.0.1:0"), app());
    assert!(matches!(change.apply().await, Err(StartError::Draining)));
}

#[tokio::test]
async fn a_limit_of_the_process_holds_for_every_listener() {
    let mut limits = ScopeLimits::default();
    limits.max_connections = Count::new(1);
    let server = Server::builder()
        .limits(limits)
        .listener(setup("a", "127.0.0.1:0"), app());
    let running = server.start().await.expect("it starts");
    let change = running.change().listener(setup("b", "127.0.0.1:0"), app());
    change.apply().await.expect("the port is free");
    let mut first = Peer::connect(address_of(&running, "a")).await;
    first
        .send("GET /slow/400 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    sleep(millis(100)).await;
    let refused = Peer::connect(address_of(&running, "b"))
        .await
        .response()
        .await;
    assert_eq!(refused.status, 503);
    assert_eq!(first.response().await.status, 200);
}
