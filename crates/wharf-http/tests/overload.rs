//! A limit around an application, over real sockets: who gets in, who waits, what the others are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use http::Request;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tower::limit::ConcurrencyLimit;
use wharf_http::admission::{Admission, AdmissionMode, AdmissionSettings, Class, Rank};
use wharf_http::pool::Outcome;
use wharf_http::{ListenerSetup, Protocol, RequestBody, Running, Server};
use wharf_testkit::Peer;
use wharf_testkit::http2::Client;

use crate::support::{eventually, millis};

/// A server with one place, and handlers that end when they are told to.
struct Full {
    running: Running,
    address: SocketAddr,
    admission: Admission,
    ends: Arc<Semaphore>,
}

fn one_place(mode: AdmissionMode) -> AdmissionSettings {
    let mut settings = AdmissionSettings::default();
    settings.mode = mode;
    settings.least = 1.try_into().expect("one");
    settings.most = settings.least;
    settings.initial = settings.least;
    settings
}

fn rank(request: &Request<RequestBody>) -> Rank {
    match request.uri().path() {
        "/probe" => Rank::exempt(),
        "/pay" => Rank::new(Class::Critical),
        "/forward" => Rank::default().forwarded(),
        _ => Rank::default(),
    }
}

/// A request that is on its way.
struct Asking(JoinSet<u16>);

impl Asking {
    async fn status(mut self) -> u16 {
        let status = self.0.join_next().await.expect("it was begun");
        status.expect("it is answered")
    }
}

impl Full {
    async fn start(mode: AdmissionMode) -> Self {
        let ends = Arc::new(Semaphore::new(0));
        let held = || {
            let ends = Arc::clone(&ends);
            get(async move || {
                ends.acquire().await.expect("it is open").forget();
                "done"
            })
        };
        let app = Router::new()
            .route("/work", held())
            .route("/pay", held())
            .route("/forward", held())
            .route("/probe", get(async || "well"))
            .route("/take", post(async |body: String| body));
        let admission = Admission::new(one_place(mode));
        let name = "test".parse().expect("a name");
        let mut setup = ListenerSetup::new(name, ([127, 0, 0, 1], 0).into());
        for protocol in [Protocol::Http, Protocol::Http2, Protocol::Grpc] {
            setup = setup.pool(protocol, protocol.defaults());
        }
        let server = Server::builder().listener(setup, admission.ranked(app, rank));
        let running = server.start().await.expect("it can be had");
        Self {
            address: running.addresses()[0].1,
            running,
            admission,
            ends,
        }
    }

    async fn peer(&self) -> Peer {
        Peer::connect(self.address).await
    }

    async fn client(&self) -> Client {
        let socket = TcpStream::connect(self.address).await;
        Client::over(socket.expect("it listens")).await
    }

    /// Asks for this, and comes back before there is an answer.
    async fn ask(&self, path: &'static str) -> Asking {
        let mut peer = self.peer().await;
        let mut asking = JoinSet::new();
        asking.spawn(async move { peer.get(path).await.status });
        Asking(asking)
    }

    /// Fills the one place.
    async fn fill(&self) -> Asking {
        let work = self.ask("/work").await;
        self.in_flight(1).await;
        work
    }

    async fn in_flight(&self, count: u32) {
        let report = || self.admission.report();
        eventually(|| report().in_flight == count, || format!("{:?}", report())).await;
    }

    async fn waiting(&self, count: u32) {
        let report = || self.admission.report();
        eventually(|| report().waiting == count, || format!("{:?}", report())).await;
    }

    fn refused(&self, class: Class) -> u64 {
        let refused = self.admission.report().refused;
        refused
            .iter()
            .filter(|(of, ..)| *of == class)
            .map(|(.., count)| count)
            .sum()
    }

    fn shed(&self) -> u64 {
        let pools = self.running.registry().metrics();
        let of = |outcomes: &[(Outcome, u64)]| {
            let shed = outcomes.iter().find(|(it, _)| *it == Outcome::Shed);
            shed.map_or(0, |(_, count)| *count)
        };
        pools
            .iter()
            .map(|(_, metrics)| of(&metrics.requests_by_outcome))
            .sum()
    }
}

#[tokio::test]
async fn an_application_that_was_ready_for_a_request_that_stands_back_is_ready_again() {
    let mut settings = AdmissionSettings::default();
    settings.mode = AdmissionMode::On;
    let app = Router::new().route("/", get(async || "done"));
    // Who is ready holds the one place until its call, and a clone waits for that.
    let app = Admission::new(settings).around(ConcurrencyLimit::new(app, 1));
    let name = "test".parse().expect("a name");
    let setup = ListenerSetup::new(name, ([127, 0, 0, 1], 0).into())
        .pool(Protocol::Http, Protocol::Http.defaults());
    let running = Server::builder().listener(setup, app).start().await;
    let running = running.expect("it can be had");
    let mut peer = Peer::connect(running.addresses()[0].1).await;
    for _ in 0..64 {
        assert_eq!(peer.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn whoever_waits_for_a_limit_that_is_switched_off_waits_no_longer() {
    let server = Full::start(AdmissionMode::On).await;
    let first = server.fill().await;
    let second = server.ask("/work").await;
    server.waiting(1).await;
    server.admission.set(one_place(AdmissionMode::Off));
    server.in_flight(2).await;
    server.ends.add_permits(2);
    assert_eq!((first.status().await, second.status().await), (200, 200));
    assert_eq!(server.refused(Class::Normal), 0);
}

#[tokio::test]
async fn whoever_waits_in_vain_is_told_so_politely_in_each_protocol() {
    let server = Full::start(AdmissionMode::On).await;
    let work = server.fill().await;
    let answer = server.peer().await.get("/work").await;
    assert_eq!(answer.status, 503);
    let seconds: u32 = answer
        .header("retry-after")
        .expect("it says")
        .parse()
        .expect("seconds");
    assert!((1..=3).contains(&seconds) && !answer.is_last());
    let client = server.client().await;
    assert_eq!(
        client.reset_of("/work").await,
        Some(h2::Reason::REFUSED_STREAM)
    );
    let answer = client.call("/work", &[0; 5]).await.expect("an answer");
    assert_eq!(answer.code(), Some("14"));
    let pushback = answer.fields.get("grpc-retry-pushback-ms");
    let pushback: u32 = pushback
        .and_then(|it| it.to_str().ok())
        .expect("it says")
        .parse()
        .expect("milliseconds");
    assert!((1_000..=3_000).contains(&pushback));
    assert_eq!(server.refused(Class::Normal), 3);
    eventually(|| server.shed() == 3, || server.shed().to_string()).await;
    let errors: f64 = server
        .running
        .registry()
        .all()
        .iter()
        .map(|it| it.health().error_rate)
        .sum();
    assert!(errors.abs() < 1e-9, "who turns away is not broken");
    server.ends.add_permits(1);
    assert_eq!(work.status().await, 200);
    server.in_flight(0).await;
}

#[tokio::test]
async fn the_more_important_is_next_and_what_is_exempt_does_not_wait() {
    let server = Full::start(AdmissionMode::On).await;
    let work = server.fill().await;
    let normal = server.ask("/work").await;
    server.waiting(1).await;
    let critical = server.ask("/pay").await;
    server.waiting(2).await;
    assert_eq!(server.peer().await.get("/probe").await.text(), "well");
    server.ends.add_permits(1);
    assert_eq!(work.status().await, 200);
    // The place is the critical one's; the other waits in vain.
    assert_eq!(normal.status().await, 503);
    server.ends.add_permits(1);
    assert_eq!(critical.status().await, 200);
    assert_eq!(server.refused(Class::Critical), 0);
}

#[tokio::test]
async fn whoever_goes_away_gives_his_place_or_his_wait_back() {
    let server = Full::start(AdmissionMode::On).await;
    let mut worked_on = server.peer().await;
    worked_on
        .send("GET /work HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    server.in_flight(1).await;
    let mut waits = server.peer().await;
    waits.send("GET /work HTTP/1.1\r\nhost: a\r\n\r\n").await;
    server.waiting(1).await;
    drop(waits);
    server.waiting(0).await;
    drop(worked_on);
    server.in_flight(0).await;
    assert_eq!(server.refused(Class::Normal), server.shed());
}

#[tokio::test]
async fn a_slow_body_and_a_request_that_is_forwarded_hold_no_place() {
    let server = Full::start(AdmissionMode::On).await;
    let mut slow = server.peer().await;
    slow.send("POST /take HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
        .await;
    let forwarded = server.ask("/forward").await;
    sleep(millis(50)).await;
    server.in_flight(0).await;
    let begun = Instant::now();
    let work = server.fill().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    slow.send("cd").await;
    assert_eq!(
        slow.response().await.text(),
        "abcd",
        "who has begun is let go on"
    );
    server.ends.add_permits(2);
    assert_eq!(work.status().await, 200);
    assert_eq!(forwarded.status().await, 200);
    server.in_flight(0).await;
}

#[tokio::test]
async fn on_a_dry_run_everybody_gets_in_and_is_counted_and_off_nobody_is() {
    let server = Full::start(AdmissionMode::DryRun).await;
    let work = server.fill().await;
    let other = server.ask("/pay").await;
    server.in_flight(2).await;
    server.ends.add_permits(2);
    assert_eq!((work.status().await, other.status().await), (200, 200));
    let report = server.admission.report();
    assert_eq!(report.dry_run[0], (Class::Critical, 1));
    assert!(report.refused.iter().all(|(.., count)| *count == 0));
    server.admission.set(one_place(AdmissionMode::Off));
    let mut peers = JoinSet::new();
    for _ in 0..5 {
        let mut peer = server.peer().await;
        peers.spawn(async move { peer.get("/work").await.status });
    }
    server.ends.add_permits(5);
    assert!(peers.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(server.admission.report().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_never_exceed_the_limit_and_every_place_comes_back() {
    let mut settings = AdmissionSettings::default();
    settings.least = 3.try_into().expect("three");
    settings.most = settings.least;
    settings.initial = settings.least;
    let admission = Admission::new(settings);
    let at_work = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    for user in 0..200_u64 {
        let (admission, at_work) = (admission.clone(), Arc::clone(&at_work));
        tasks.spawn(async move {
            use std::sync::atomic::Ordering::SeqCst;
            let mut passed = 0;
            for round in 0..50 {
                let class = Class::ALL[usize::try_from((user + round) % 5).expect("small")];
                if let Ok(permit) = admission.admit(class, user).await {
                    assert!(at_work.fetch_add(1, SeqCst) < 3);
                    tokio::task::yield_now().await;
                    at_work.fetch_sub(1, SeqCst);
                    permit.done(true);
                    passed += 1;
                }
            }
            passed
        });
    }
    let passed: u64 = tasks.join_all().await.into_iter().sum();
    let report = admission.report();
    assert_eq!((report.in_flight, report.waiting), (0, 0), "{report:?}");
    let refused: u64 = report.refused.iter().map(|(.., count)| count).sum();
    assert_eq!(passed + refused, 10_000);
    assert!(passed > 100, "{passed}");
}
