//! Ends that cross something: a drain and a newcomer, an upgrade and a full pool, half a request.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use wharf_http::pool::config::{Count, WhenFull};
use wharf_http::pool::{CloseReason, ScopeLimits};
use wharf_http::{DrainSettings, ListenerSetup, Server as Builder};
use wharf_testkit::Peer;
use wharf_testkit::http1::hostile::HALF_A_LINE;

use crate::support::{Config, Server, millis};

const UPGRADE: &str =
    "GET /upgrade HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

async fn one_at_a_time() -> Server {
    Server::with(|c| {
        c.common.max_connections = Count::new(1);
        c.common.when_full = WhenFull::Reclaim;
    })
    .await
}

#[tokio::test]
async fn a_drain_does_not_wait_for_an_upgraded_connection_that_has_ended() {
    let server = Server::start(Config::default()).await;
    let mut before = server.connect().await;
    before.send(UPGRADE).await;
    assert_eq!(before.response().await.status, 101);
    let mut during = server.connect().await;
    during.send(UPGRADE).await;
    assert_eq!(during.response().await.status, 101);
    drop(before);
    server.active(1).await;
    let running = server.running.clone();
    let ends = async {
        sleep(millis(300)).await;
        drop(during);
    };
    let (report, ()) = tokio::join!(timeout(millis(5000), running.drain()), ends);
    let report = report.expect("nothing is left to wait for");
    assert_eq!((report.finished, report.cut), (1, 0));
}

#[tokio::test]
async fn an_upgraded_connection_is_in_flight_and_makes_no_room() {
    let server = one_at_a_time().await;
    let mut upgraded = server.connect().await;
    upgraded.send(UPGRADE).await;
    assert_eq!(upgraded.response().await.status, 101);
    sleep(millis(1300)).await;
    assert_eq!(server.connect().await.response().await.status, 503);
    let connections = server.running.registry().connections();
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].command(), None, "nobody asked it to leave");
    assert_eq!(server.pool().metrics().in_flight, 1);
    drop((upgraded, connections));
    server.active(0).await;
    let metrics = server.pool().metrics();
    assert_eq!((metrics.in_flight, metrics.requests), (0, 1));
}

#[tokio::test]
async fn half_a_first_request_is_no_way_to_keep_a_place() {
    let mut server = one_at_a_time().await;
    let mut silent = server.connect().await;
    silent.send(HALF_A_LINE).await;
    sleep(millis(2300)).await;
    let mut newcomer = server.connect().await;
    assert_eq!(newcomer.get("/hello").await.status, 200);
    assert_eq!(server.next_reason().await, CloseReason::Reclaimed);
}

#[tokio::test]
async fn who_becomes_idle_late_in_a_drain_gets_its_next_request_served_too() {
    let server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    peer.send("GET /drip/250/10 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await;
    // The head has gone out before the drain, and does not say that it is the last.
    sleep(millis(100)).await;
    let running = server.running.clone();
    let client = async {
        assert!(!peer.response().await.is_last());
        sleep(millis(100)).await;
        peer.get("/hello").await
    };
    let (report, response) = tokio::join!(running.drain(), client);
    assert!(response.status == 200 && response.is_last());
    assert_eq!((report.finished, report.cut), (1, 0));
}

#[tokio::test]
async fn a_newcomer_that_is_let_in_while_the_server_drains_is_asked_to_finish_too() {
    let server = one_at_a_time().await;
    let mut idle = server.connect().await;
    assert_eq!(idle.get("/hello").await.status, 200);
    sleep(millis(1300)).await;
    // It waits in the lobby until the idle one has left, and says nothing.
    let newcomer = server.connect().await;
    sleep(millis(10)).await;
    let report = timeout(millis(5000), server.running.drain())
        .await
        .expect("a silent connection does not hold a drain up");
    assert_eq!(report.cut, 0);
    drop(newcomer);
}

#[tokio::test]
async fn a_connection_that_a_drain_takes_from_the_backlog_may_still_send_its_proxy_header() {
    let app = axum::Router::new().route("/", axum::routing::get(async || "hello"));
    let setup = ListenerSetup::new("edge".parse().unwrap(), "127.0.0.1:0".parse().unwrap())
        .proxy_protocol(vec!["127.0.0.1/32".parse().unwrap()]);
    let running = Builder::builder()
        .listener(setup, app)
        .start()
        .await
        .unwrap();
    let address = running.addresses()[0].1;
    let mut peer = Peer::connect(address).await;
    let silent = Peer::connect(address).await;
    let client = async {
        sleep(millis(300)).await;
        peer.send("PROXY TCP4 192.0.2.1 198.51.100.1 4000 80\r\n")
            .await;
        peer.get("/").await
    };
    let begun = Instant::now();
    let (report, response) = tokio::join!(running.drain(), client);
    assert!(response.status == 200 && response.is_last());
    assert_eq!((report.finished, report.cut), (2, 0));
    assert!(begun.elapsed() < millis(4000), "{report:?}");
    drop(silent);
    let closed = running.registry().all()[0].metrics().closed_by_reason;
    assert!(closed.contains(&(CloseReason::Drained, 2)), "{closed:?}");
}

#[tokio::test]
async fn a_server_that_is_dropped_serves_nobody_from_its_backlog() {
    let server = Server::start(Config::default()).await;
    // One thread: nobody accepts between this connect and the drop.
    let waiting = std::net::TcpStream::connect(server.address).unwrap();
    waiting.set_nonblocking(true).unwrap();
    drop(server);
    let waiting = TcpStream::from_std(waiting).unwrap();
    let ended = async {
        waiting.readable().await.unwrap();
        let mut byte = [0];
        assert!(!matches!(waiting.try_read(&mut byte), Ok(1..)));
    };
    timeout(Duration::from_secs(3), ended)
        .await
        .expect("its connection is ended");
}

#[tokio::test]
async fn what_follows_an_upgrade_request_with_a_body_is_served_when_the_answer_is_no_upgrade() {
    let server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    let request = "POST /hello HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\
        Content-Length: 5\r\n\r\nhello";
    peer.send(format!("{request}GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"))
        .await;
    assert_eq!(peer.response().await.text(), "Hello, World!");
    assert_eq!(peer.response().await.text(), "Hello, World!");
}

#[tokio::test]
async fn a_flood_of_connects_does_not_hold_a_drain_up() {
    let mut drain = DrainSettings::default();
    drain.linger = millis(100);
    drain.timeout = millis(1000);
    let limits = ScopeLimits::from(Count::new(1).unwrap());
    let server = Server::start_with(Config::default(), limits, drain).await;
    let address = server.address;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut connects = 0;
                while std::net::TcpStream::connect(address).is_ok() {
                    connects += 1;
                }
                connects
            })
        })
        .collect();
    sleep(millis(200)).await;
    let begun = Instant::now();
    server.running.drain().await;
    assert!(begun.elapsed() < millis(2000), "{:?}", begun.elapsed());
    for thread in threads {
        assert!(thread.join().unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_while_the_server_drains_is_answered_or_refused_by_the_kernel() {
    let server = Server::start(Config::default()).await;
    let address = server.address;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..20 {
        clients.spawn(async move {
            let mut answers = 0;
            while let Ok(mut stream) = TcpStream::connect(address).await {
                let ask = b"GET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
                let mut answer = String::new();
                let asked = stream.write_all(ask).await;
                asked.expect("it was accepted, so it is served");
                let answered = stream.read_to_string(&mut answer).await;
                answered.expect("it was asked, so it answers");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                answers += 1;
            }
            answers
        });
    }
    sleep(millis(300)).await;
    server.running.drain().await;
    let answers: u64 = clients.join_all().await.into_iter().sum();
    assert!(answers > 100, "{answers}");
}

#[tokio::test]
async fn a_handler_that_waits_for_a_command_elsewhere_costs_nobody_a_deadline() {
    use axum::Extension;
    use wharf_http::Connected;
    let app = axum::Router::new().route(
        "/",
        axum::routing::get(async |Extension(connected): Extension<Connected>| {
            #[expect(
                clippy::disallowed_methods,
                reason = "the handler's own task, as applications do"
            )]
            tokio::spawn(async move { connected.handle().control().told().await });
            "hello"
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = Config::default();
    config.common.keep_alive_timeout = millis(300);
    let running = wharf_http::serve(listener, app)
        .pool(config)
        .start()
        .await
        .unwrap();
    let mut peer = Peer::connect(address).await;
    assert_eq!(peer.get("/").await.status, 200);
    let _ = peer.closed(millis(2000)).await;
    drop(running);
}
