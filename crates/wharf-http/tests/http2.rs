//! HTTP/2 over real sockets: beside HTTP/1, by prior knowledge.

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wharf_http::pool::events::Subscription;
use wharf_http::pool::{CloseReason, Endpoints, PoolName, Registry, ScopeLimits};
use wharf_http::{ListenerSetup, Protocol, Running, Server, serve_io};
use wharf_testkit::Peer;
use wharf_testkit::http2::hostile::{self, Flood};
use wharf_testkit::http2::{
    Client, END_HEADERS, END_STREAM, GET, Kind, PREFACE, Raw, block, frame,
};

use crate::app::app;
use crate::support::{eventually, millis, next_reason};

/// A server of both versions on one port.
struct Mixed {
    running: Running,
    address: std::net::SocketAddr,
    events: Subscription,
}

impl Mixed {
    async fn start() -> Self {
        let name = "test".parse().expect("a name");
        let mut setup = ListenerSetup::new(name, ([127, 0, 0, 1], 0).into());
        for protocol in [Protocol::Http, Protocol::Http2] {
            setup = setup.pool(protocol, protocol.defaults());
        }
        let server = Server::builder().listener(setup, app());
        let running = server.start().await.expect("it can be had");
        Self {
            address: running.addresses()[0].1,
            events: running.events().subscribe(),
            running,
        }
    }

    async fn client(&self) -> Client {
        let socket = TcpStream::connect(self.address).await;
        Client::over(socket.expect("it listens")).await
    }

    fn active(&self, protocol: Protocol) -> u32 {
        let listener = "test".parse().expect("a name");
        let name = PoolName::new(&listener, protocol.as_str()).expect("a name");
        let pool = self.running.registry().get(&name);
        pool.expect("it has the pool").active()
    }

    async fn next_reason(&mut self) -> CloseReason {
        next_reason(&mut self.events).await
    }
}

#[tokio::test]
async fn both_versions_are_served_on_one_port() {
    let mut server = Mixed::start().await;
    let client = server.client().await;
    let mut peer = Peer::connect(server.address).await;
    assert_eq!(
        client.get("/hello").await.expect("h2").text(),
        "Hello, World!"
    );
    assert_eq!(peer.get("/hello").await.text(), "Hello, World!");
    let counts = |server: &Mixed| [Protocol::Http, Protocol::Http2].map(|it| server.active(it));
    assert_eq!(counts(&server), [1, 1]);
    let body = vec![b'x'; 3 << 20];
    let echoes = (0..4).map(|_| client.post("/echo", &body));
    for echo in futures_util::future::join_all(echoes).await {
        assert!(echo.expect("an echo").data == body);
    }
    drop(client);
    assert_eq!(server.next_reason().await, CloseReason::ClientClosed);
    drop(peer);
    assert_eq!(server.next_reason().await, CloseReason::ClientClosed);
    assert_eq!(counts(&server), [0, 0]);
}

#[tokio::test]
async fn a_peer_that_opens_its_windows_and_reads_nothing_is_cut() {
    let mut server = Mixed::start().await;
    let socket = Peer::connect_narrow(server.address).await;
    let _peer = hostile::ask_and_read_nothing(socket, "/bytes/50000000").await;
    assert_eq!(server.next_reason().await, CloseReason::SlowReader);
    assert_eq!(server.active(Protocol::Http2), 0);
}

#[tokio::test]
async fn a_page_that_is_left_while_it_loads_is_no_abuse() {
    let mut server = Mixed::start().await;
    let mut peer = Raw::over(Peer::connect(server.address).await);
    let opening = [PREFACE, &frame(Kind::Settings, 0, 0, &[])].concat();
    let left = hostile::abandoned((1..120).step_by(2), "/slow/20");
    let stays = frame(
        Kind::Headers,
        END_STREAM | END_HEADERS,
        121,
        &block(GET, "/hello"),
    );
    peer.bytes(&[opening, left, stays].concat()).await;
    let answer = peer.next(Kind::Data).await;
    assert_eq!(
        (answer.stream, &answer.payload[..]),
        (121, &b"Hello, World!"[..])
    );
    peer.finish().await;
    peer.until_closed().await;
    assert_eq!(server.next_reason().await, CloseReason::ClientClosed);
}

#[tokio::test]
async fn each_flood_ends_its_own_connection_and_nobody_elses() {
    let mut server = Mixed::start().await;
    let client = server.client().await;
    for flood in Flood::ALL {
        let mut peer = Raw::greeted(Peer::connect(server.address).await).await;
        // What is too much of it may not be taken.
        peer.try_bytes(&flood.bytes(20_000)).await;
        peer.until_closed().await;
        drop(peer);
        assert_eq!(
            server.next_reason().await,
            CloseReason::Http2Abuse,
            "{flood:?}"
        );
        assert_eq!(client.get("/hello").await.expect("an answer").status, 200);
    }
    assert_eq!(server.active(Protocol::Http2), 1);
}

#[tokio::test]
async fn a_drain_under_load_loses_no_request_that_was_taken() {
    let mut server = Mixed::start().await;
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let client = server.client().await;
        clients.spawn(async move {
            let mut answered = 0_u32;
            loop {
                let asks = (0..5).map(|_| client.get("/slow/20"));
                for answer in futures_util::future::join_all(asks).await {
                    match answer {
                        Ok(answer) => {
                            assert_eq!(answer.text(), "slow");
                            answered += 1;
                        }
                        // Not taken: its client may send it elsewhere.
                        Err(refused) => {
                            let code = refused.reason();
                            assert!(refused.is_go_away(), "{refused}");
                            assert_eq!(code, Some(h2::Reason::NO_ERROR));
                            return answered;
                        }
                    }
                }
            }
        });
    }
    let registry = server.running.registry().clone();
    let counted = || {
        registry
            .metrics()
            .iter()
            .map(|(_, it)| it.requests)
            .sum::<u64>()
    };
    let under_load = || counted() >= 20 * 5 * 6;
    eventually(under_load, || format!("{} requests", counted())).await;
    let report = server.running.drain().await;
    assert_eq!((report.finished, report.cut), (20, 0), "{report:?}");
    assert!(report.took < millis(3000), "{report:?}");
    let answered: u32 = clients.join_all().await.into_iter().sum();
    assert!(answered >= 20 * 5 * 5, "{answered}");
    for _ in 0..20 {
        assert_eq!(server.next_reason().await, CloseReason::Drained);
    }
    assert_eq!(counted(), u64::from(answered));
}

#[tokio::test]
async fn a_client_that_vanishes_takes_its_handlers_with_it() {
    let mut server = Mixed::start().await;
    let client = server.client().await;
    let asks = futures_util::future::join_all((0..10).map(|_| client.get("/slow/60000")));
    let in_flight = || -> u64 {
        let metrics = server.running.registry().metrics();
        metrics.iter().map(|(_, it)| it.in_flight).sum()
    };
    let leaves = async {
        eventually(|| in_flight() == 10, || "not begun".to_owned()).await;
    };
    tokio::select! { _ = asks => {}, () = leaves => {} }
    client.vanish();
    eventually(|| in_flight() == 0, || "in flight".to_owned()).await;
    assert_eq!(server.next_reason().await, CloseReason::PeerReset);
}

#[tokio::test]
async fn a_connection_in_memory_speaks_what_its_pool_is_for() {
    let registry = Registry::new(ScopeLimits::default());
    let name: PoolName = "test/http2".parse().expect("a name");
    let pool = registry.get_or_create(&name, Protocol::Http2.defaults());
    let pool = pool.expect("a pool");
    let (near, far) = tokio::io::duplex(64 * 1024);
    let address = "192.0.2.1:1000".parse().expect("an address");
    let slot = pool.reserve().expect("a slot");
    let served = serve_io(far, slot, Endpoints::new(address, address), app(), &pool);
    let mut tasks = JoinSet::new();
    tasks.spawn(served.expect("let in"));
    let client = Client::over(near).await;
    assert_eq!(client.get("/hello").await.expect("h2").status, 200);
}
