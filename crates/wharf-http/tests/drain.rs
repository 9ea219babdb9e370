//! A drain loses no request, tells everybody, and ends in time.

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wharf_http::DrainSettings;
use wharf_http::pool::{CloseReason, ScopeLimits, ServingState};
use wharf_testkit::http1::hostile;
use wharf_testkit::{Closed, Peer};

use crate::support::{Config, Server, eventually, millis};

async fn start(change: impl FnOnce(&mut DrainSettings)) -> Server {
    let mut drain = DrainSettings::default();
    change(&mut drain);
    Server::start_with(Config::default(), ScopeLimits::default(), drain).await
}

#[tokio::test]
async fn what_is_in_flight_is_finished_and_says_that_it_is_the_last() {
    let mut server = start(|_| {}).await;
    let mut peer = server.connect().await;
    peer.send("GET /slow/600 HTTP/1.1\r\nHost: t\r\n\r\n").await;
    sleep(millis(100)).await;
    let running = server.running.clone();
    let (report, response) = tokio::join!(running.drain(), peer.response());
    assert!(response.text() == "slow" && response.is_last());
    assert_eq!((report.finished, report.cut), (1, 0));
    assert_eq!(server.next_reason().await, CloseReason::Drained);
    assert_eq!(server.running.registry().state(), ServingState::Draining);
    assert_eq!(
        server.running.drain().await,
        report,
        "a second drain is the first"
    );
}

#[tokio::test]
async fn during_the_delay_newcomers_are_served_and_told() {
    let server = start(|drain| drain.delay = millis(600)).await;
    let running = server.running.clone();
    let drain = async { running.drain().await };
    let newcomer = async {
        sleep(millis(200)).await;
        server.connect().await.get("/hello").await
    };
    let (report, response) = tokio::join!(drain, newcomer);
    assert!(response.status == 200 && response.is_last());
    assert!(report.took >= millis(600));
}

#[tokio::test]
async fn an_idle_connection_gets_one_more_answer_or_a_half_close() {
    let server = start(|_| {}).await;
    let mut asks = server.connect().await;
    let mut silent = server.connect().await;
    assert!(!asks.get("/hello").await.is_last());
    assert_eq!(silent.get("/hello").await.status, 200);
    let running = server.running.clone();
    let both = async {
        sleep(millis(500)).await;
        assert!(asks.get("/hello").await.is_last());
        silent.closed(millis(4000)).await
    };
    let (report, (how, _)) = tokio::join!(running.drain(), both);
    assert_eq!(how, Closed::End);
    assert_eq!((report.finished, report.cut), (2, 0));
    assert!(report.took < millis(4000), "{report:?}");
}

#[tokio::test]
async fn hostile_peers_are_cut_at_the_deadline_and_counted() {
    // Whoever is idle may linger, is told within a quarter of the time, and is listened to for 200 ms.
    let server = start(|drain| {
        drain.linger = millis(100);
        drain.timeout = millis(2000);
    })
    .await;
    let _reader = hostile::ask_and_read_nothing(server.address, "/bytes/50000000").await;
    let mut body = server.connect().await;
    hostile::part_of_a_body(&mut body, "/length", b"").await;
    let mut head = server.connect().await;
    head.send(hostile::HALF_A_LINE).await;
    let mut handler = server.connect().await;
    handler
        .send("GET /slow/60000 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    let _silent = server.connect().await;
    sleep(millis(100)).await;
    let begun = Instant::now();
    let report = server.running.drain().await;
    assert!(begun.elapsed() < millis(3000), "{report:?}");
    assert_eq!(
        (report.finished, report.cut),
        (1, 4),
        "only the silent one goes by itself"
    );
    assert_eq!(server.pool().active(), 0);
}

#[tokio::test]
async fn clients_that_check_for_the_end_before_they_ask_lose_nothing() {
    let server = start(|_| {}).await;
    let mut clients = JoinSet::new();
    for _ in 0..100 {
        clients.spawn(client(server.address));
    }
    let asked = || server.pool().metrics().requests;
    eventually(|| asked() > 600, || format!("{} requests", asked())).await;
    let report = server.running.drain().await;
    let answers: u64 = clients.join_all().await.into_iter().sum();
    assert!(answers > 500, "{answers} requests were answered");
    assert_eq!(report.cut, 0);
}

/// Asks until the server says that it ends; panics when a request is lost.
async fn client(address: std::net::SocketAddr) -> u64 {
    let mut served = 0;
    let mut peer = Peer::connect(address).await;
    // Quiet: the server has not closed. It may do so between this look and the request, and that is
    // the race that the linger is for.
    while peer.is_quiet(millis(1)).await {
        peer.send("GET /hello HTTP/1.1\r\nHost: t\r\n\r\n").await;
        let response = peer.response().await;
        assert_eq!(response.status, 200);
        served += 1;
        if response.is_last() {
            break;
        }
        sleep(millis(10)).await;
    }
    served
}
