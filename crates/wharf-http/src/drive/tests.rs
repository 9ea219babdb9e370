//! The driver over bytes in memory and a clock that the test moves: hours pass in milliseconds.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use wharf_pool::config::PoolConfig;
use wharf_pool::events::{EventKind, Subscription};
use wharf_pool::{Endpoints, Pool, PoolName, Registry, ScopeLimits};
use wharf_testkit::http1::{some, until_closed};

use super::*;
use crate::body::RequestBody;
use crate::codecs::MOST;
use crate::settings::ProtocolSettings;
use crate::ticker::tick;

mod http2;
mod order;
mod websocket;

const SECOND: Duration = Duration::from_secs(1);

/// A pool with a ticking clock, and connections in memory.
struct Harbour {
    registry: Registry<HttpConnection>,
    pool: Pool<HttpConnection>,
    shared: Arc<Context>,
    tasks: TaskTracker,
    events: Subscription,
}

impl Harbour {
    fn new(change: impl FnOnce(&mut PoolConfig<ProtocolSettings>)) -> Self {
        let mut config = PoolConfig::default();
        change(&mut config);
        let registry = Registry::new(ScopeLimits::default());
        let name: PoolName = "test/http".parse().unwrap();
        let pool = registry.get_or_create(&name, config).unwrap();
        let shared = Arc::new(Context::alone(&pool));
        let tasks = TaskTracker::new();
        tasks.spawn(tick(registry.clone()));
        let events = registry.events().subscribe();
        Self {
            registry,
            pool,
            shared,
            tasks,
            events,
        }
    }

    /// A connection that is being served, as its peer holds it.
    fn connect(&self) -> DuplexStream {
        self.connect_over(64 * 1024)
    }

    /// The same, with room for so many bytes on the way.
    fn connect_over(&self, room: usize) -> DuplexStream {
        let (peer, ours) = duplex(room);
        let address: SocketAddr = "192.0.2.1:1000".parse().unwrap();
        let guard = self
            .pool
            .add(Endpoints::new(address, address), HttpConnection::default())
            .unwrap();
        let app = tower::service_fn(answer);
        self.tasks.spawn(drive(
            Tracked::new(ours, guard),
            app,
            Arc::clone(&self.shared),
        ));
        peer
    }

    async fn next_reason(&mut self) -> CloseReason {
        loop {
            let event = self.events.next().await.expect("the registry lives");
            if let EventKind::ConnectionRemoved { reason, .. } = event.kind {
                return reason;
            }
        }
    }
}

type TestBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

async fn answer(request: Request<RequestBody>) -> Result<Response<TestBody>, crate::BoxError> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let (action, seconds) = path[1..].split_once('/').unwrap_or((&path[1..], "0"));
    let pause = SECOND * seconds.parse().unwrap_or(0);
    Ok(Response::new(match action {
        "wait" => {
            sleep(pause).await;
            Full::from("waited").boxed_unsync()
        }
        "quiet" => {
            let parts = futures_util::stream::unfold(0, move |sent| async move {
                sleep(pause).await;
                (sent < 2).then(|| (Ok(Frame::data(Bytes::from_static(b"event\n"))), sent + 1))
            });
            StreamBody::new(parts).boxed_unsync()
        }
        "204" | "304" => {
            let mut response = Response::new(Full::from("not to be sent").boxed_unsync());
            *response.status_mut() = action.parse().unwrap();
            return Ok(response);
        }
        "large" => Full::from(vec![b'x'; 8192]).boxed_unsync(),
        "panic-in-drop" => PanicsInDrop.boxed_unsync(),
        _ => Full::from(body.len().to_string()).boxed_unsync(),
    }))
}

/// A body that cannot even be let go.
struct PanicsInDrop;

impl http_body::Body for PanicsInDrop {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "as asked");
    }
}

/// Two ticks late at most, never early.
fn took(since: Instant, limit: Duration) {
    let took = since.elapsed();
    assert!(
        took >= limit && took <= limit + Duration::from_millis(450),
        "{took:?}, not {limit:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn every_default_deadline_is_the_documented_one() {
    let mut harbour = Harbour::new(|_| {});
    let begun = Instant::now();
    assert_eq!(until_closed(&mut harbour.connect()).await, "");
    took(begun, 30 * SECOND);
    assert_eq!(harbour.next_reason().await, CloseReason::ConnectionTimeout);

    let begun = Instant::now();
    let mut peer = harbour.connect();
    peer.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    assert!(until_closed(&mut peer).await.starts_with("HTTP/1.1 408"));
    took(begun, 10 * SECOND);
    drop(peer);
    assert_eq!(harbour.next_reason().await, CloseReason::HeadersTimeout);

    let begun = Instant::now();
    let mut peer = harbour.connect();
    peer.write_all(b"GET /wait/9999 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    assert!(until_closed(&mut peer).await.starts_with("HTTP/1.1 504"));
    took(begun, 30 * SECOND);
    drop(peer);
    assert_eq!(harbour.next_reason().await, CloseReason::RequestTimeout);

    let mut peer = harbour.connect();
    peer.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    assert!(some(&mut peer).await.starts_with("HTTP/1.1 200"));
    let begun = Instant::now();
    assert_eq!(until_closed(&mut peer).await, "");
    took(begun, 75 * SECOND);
    assert_eq!(harbour.next_reason().await, CloseReason::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_of_an_hour_with_no_request_timeout_is_not_closed() {
    let harbour = Harbour::new(|c| c.common.request_timeout = None);
    let mut peer = harbour.connect();
    peer.write_all(b"GET /wait/3600 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    assert!(some(&mut peer).await.ends_with("waited"));
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_that_says_nothing_for_an_hour_is_not_closed() {
    let harbour = Harbour::new(|_| {});
    let mut peer = harbour.connect();
    peer.write_all(b"GET /quiet/3600 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    assert!(some(&mut peer).await.starts_with("HTTP/1.1 200"));
    let begun = Instant::now();
    assert!(some(&mut peer).await.contains("event"));
    assert!(some(&mut peer).await.contains("event"));
    assert!(begun.elapsed() >= 7200 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_five_minutes_at_ten_kilobytes_a_second_is_served() {
    let harbour = Harbour::new(|_| {});
    let mut peer = harbour.connect();
    let head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3000000\r\n\r\n";
    peer.write_all(head).await.unwrap();
    for _ in 0..300 {
        peer.write_all(&[b'x'; 10_000]).await.unwrap();
        sleep(SECOND).await;
    }
    assert!(some(&mut peer).await.ends_with("3000000"));
}

#[tokio::test(start_paused = true)]
async fn a_body_at_a_byte_a_second_is_cut_after_the_grace_and_told() {
    let mut harbour = Harbour::new(|_| {});
    let peer = harbour.connect();
    let begun = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(peer);
    let drip = async {
        let head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n";
        writer.write_all(head).await.unwrap();
        while writer.write_all(b"x").await.is_ok() {
            sleep(SECOND).await;
        }
    };
    let mut all = Vec::new();
    let read = async { reader.read_to_end(&mut all).await };
    tokio::select! { _ = read => {}, () = drip => {} }
    took(begun, 5 * SECOND);
    assert!(all.starts_with(b"HTTP/1.1 408"));
    drop((reader, writer));
    assert_eq!(harbour.next_reason().await, CloseReason::SlowRequest);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dropped_by_its_runtime_gives_its_slot_back() {
    let harbour = Harbour::new(|_| {});
    for path in ["", "GET / HT", "GET /wait/60 HTTP/1.1\r\nHost: t\r\n\r\n"] {
        let (mut peer, ours) = duplex(1024);
        let address: SocketAddr = "192.0.2.1:1000".parse().unwrap();
        let guard = harbour
            .pool
            .add(Endpoints::new(address, address), HttpConnection::default())
            .unwrap();
        let served = drive(
            Tracked::new(ours, guard),
            tower::service_fn(answer),
            Arc::clone(&harbour.shared),
        );
        peer.write_all(path.as_bytes()).await.unwrap();
        // Polled for a while, then dropped wherever it is.
        assert!(tokio::time::timeout(SECOND, served).await.is_err());
        assert_eq!(harbour.pool.active(), 0, "{path:?}");
        assert_eq!(harbour.pool.metrics().in_flight, 0, "{path:?}");
    }
    assert_eq!(harbour.registry.records(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_codecs_are_many_an_idle_connection_puts_its_own_away_at_once() {
    let harbour = Harbour::new(|_| {});
    let others: Vec<_> = (0..MOST).map(|_| harbour.shared.codecs.made()).collect();
    let mut peer = harbour.connect();
    let begun = Instant::now();
    for body in 0..20 {
        let request = format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {body}\r\n\r\n");
        let pieces = [request.as_bytes(), &b"x".repeat(body)].concat();
        peer.write_all(&pieces).await.unwrap();
        assert!(some(&mut peer).await.ends_with(&body.to_string()));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!harbour.shared.codecs.are_many(), "it has put it away");
    }
    assert!(begun.elapsed() < TICK, "no time has passed");
    drop(others);
    assert_eq!(until_closed(&mut peer).await, "");
    took(begun, 75 * SECOND);
}
