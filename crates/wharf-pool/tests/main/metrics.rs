//! Numbers about now forget, numbers since start only grow, and both are right.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use wharf_pool::{Connection, Metrics, Outcome, Phase, Tracked};

use crate::world::{World, pool};

fn request(world: &World, handle: &wharf_pool::ConnectionHandle, outcome: Outcome, millis: u64) {
    handle
        .begin_request(&world.pool)
        .end(outcome, Duration::from_millis(millis));
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 0.05 * b.abs().max(1e-9)
}

#[test]
fn rates_are_of_the_last_minute_and_forget() {
    let mut world = World::new();
    let guard = world.open("10.0.0.1").unwrap();
    let handle = guard.handle();
    for _ in 0..60 {
        for _ in 0..10 {
            request(&world, &handle, Outcome::Success, 1);
        }
        drop(world.open("10.0.0.2").unwrap());
        world.pass(Duration::from_secs(1));
    }
    let Metrics {
        connections_per_second,
        performance,
        ..
    } = world.pool.metrics();
    assert!(
        (0.9..1.1).contains(&connections_per_second),
        "{connections_per_second}"
    );
    assert!(
        (9.0..11.0).contains(&performance.throughput),
        "{performance:?}"
    );
    world.pass(Duration::from_secs(30));
    let throughput = world.pool.metrics().performance.throughput;
    assert!(
        (4.0..6.0).contains(&throughput),
        "half of the minute is gone: {throughput}"
    );
    world.pass(Duration::from_secs(40));
    let Metrics {
        connections_per_second,
        performance,
        requests,
        accepted,
        ..
    } = world.pool.metrics();
    assert_eq!((connections_per_second, performance.throughput), (0.0, 0.0));
    assert_eq!(
        (performance.p50, performance.average),
        (Duration::ZERO, Duration::ZERO)
    );
    assert_eq!(
        (requests, accepted),
        (600, 61),
        "since start nothing is forgotten"
    );
}

#[test]
fn a_young_pool_does_not_exaggerate() {
    let world = World::new();
    let other = pool(&world.registry, "test/young");
    let slot = other.reserve().unwrap();
    let _guard = crate::world::open(slot, "10.0.0.1").unwrap();
    assert_eq!(other.metrics().connections_per_second, 1.0);
}

#[test]
fn percentiles_are_right_within_a_sixteenth() {
    let mut world = World::new();
    let guard = world.open("10.0.0.1").unwrap();
    for millis in 1..=1_000 {
        request(&world, &guard.handle(), Outcome::Success, millis);
    }
    // Those that were not answered say nothing about how long an answer takes.
    drop(guard.handle().begin_request(&world.pool));
    world.pass(Duration::from_secs(1));
    let metrics = world.pool.metrics();
    let performance = &metrics.performance;
    for (found, exact) in [
        (performance.p50, 500),
        (performance.p95, 950),
        (performance.p99, 990),
    ] {
        let off = found.as_secs_f64() / Duration::from_millis(exact).as_secs_f64();
        assert!((off - 1.0).abs() <= 1.0 / 16.0, "{found:?} for {exact} ms");
    }
    assert!(
        close(performance.average.as_secs_f64(), 0.5005),
        "{:?}",
        performance.average
    );
    let buckets = &metrics.request_duration;
    assert_eq!(
        (buckets.count, buckets.sum),
        (1_000, Duration::from_millis(500_500))
    );
    assert!(buckets.buckets.is_sorted() && buckets.buckets.iter().all(|(_, n)| *n <= 1_000));
    let at = |millis| {
        let bound = Duration::from_millis(millis);
        buckets.buckets.iter().find(|(b, _)| *b == bound).unwrap().1
    };
    assert!((90..=100).contains(&at(100)) && (465..=500).contains(&at(500)));
    assert_eq!(at(2_500), 1_000);
}

#[test]
fn a_duration_without_end_is_the_longest_there_is() {
    let world = World::new();
    let guard = world.open("10.0.0.1").unwrap();
    guard
        .handle()
        .begin_request(&world.pool)
        .end(Outcome::Success, Duration::MAX);
    let metrics = world.pool.metrics();
    assert!(metrics.performance.p99 > Duration::from_secs(1_000));
    assert_eq!(metrics.request_duration.count, 1);
}

#[test]
fn an_error_rate_decays_and_cancelled_requests_are_no_errors() {
    let mut world = World::new();
    let guard = world.open("10.0.0.1").unwrap();
    let handle = guard.handle();
    assert_eq!(world.pool.health().error_rate, 0.0, "of nothing");
    for outcome in [
        Outcome::ServerError,
        Outcome::ClientError,
        Outcome::Success,
        Outcome::Success,
    ] {
        request(&world, &handle, outcome, 1);
    }
    drop(handle.begin_request(&world.pool));
    assert!(close(world.pool.health().error_rate, 0.25));
    world.pass(Duration::from_secs(20));
    for _ in 0..6 {
        request(&world, &handle, Outcome::Success, 1);
    }
    assert!(close(world.pool.metrics().performance.error_rate, 0.1));
    world.pass(Duration::from_secs(70));
    assert_eq!(
        world.pool.metrics().performance.error_rate,
        0.0,
        "a bad minute passes"
    );
    let by_outcome = world.pool.metrics().requests_by_outcome;
    assert_eq!(by_outcome.iter().map(|(_, n)| *n).sum::<u64>(), 11);
    assert!(by_outcome.contains(&(Outcome::Cancelled, 1)));
}

#[test]
fn requests_in_flight_are_counted_in_the_pool_where_they_began() {
    let world = World::new();
    let others = ["test/b", "test/c", "test/d"].map(|name| pool(&world.registry, name));
    let guard = world.open("10.0.0.1").unwrap();
    let handle = guard.handle();
    let first = handle.begin_request(&world.pool);
    assert_eq!(
        (handle.phase(), handle.info().in_flight),
        (Phase::Active, 1)
    );
    let mut later = Vec::new();
    for other in &others {
        handle.enter(other).unwrap();
        later.push(handle.begin_request(other));
    }
    let in_flight = || others.each_ref().map(|pool| pool.metrics().in_flight);
    assert_eq!(
        (world.pool.metrics().in_flight, in_flight()),
        (1, [1, 1, 1])
    );
    first.end(Outcome::Success, Duration::from_millis(1));
    assert_eq!(
        (world.pool.metrics().in_flight, in_flight()),
        (0, [1, 1, 1])
    );
    drop(later);
    assert_eq!(in_flight(), [0, 0, 0]);
    assert_eq!((handle.phase(), handle.requests()), (Phase::Idle, 4));
}

#[test]
fn memory_is_accounted_for_each_connection_and_processor_time_is_a_share_of_the_minute() {
    let mut world = World::new();
    let guards = ["10.0.0.1", "10.0.0.2"].map(|peer| world.open(peer).unwrap());
    for _ in 0..60 {
        world.pool.busy(Duration::from_millis(250));
        world.pass(Duration::from_secs(1));
    }
    let performance = world.pool.metrics().performance;
    assert_eq!(
        performance.memory_usage,
        2 * <() as Connection>::memory(&())
    );
    assert!(
        (22.0..28.0).contains(&performance.cpu_usage_percent),
        "{performance:?}"
    );
    drop(guards);
    assert_eq!(world.pool.metrics().performance.memory_usage, 0);
    assert_eq!(world.pool.metrics().uptime, Duration::from_secs(61));
    assert_eq!(
        world.pool.metrics().connection_lifetime,
        Duration::from_mins(2)
    );
}

#[tokio::test]
async fn tracked_bytes_are_counted_for_the_connection_and_its_pool() {
    let world = World::new();
    let (ours, mut theirs) = tokio::io::duplex(64);
    let mut tracked = Tracked::new(ours, world.open("10.0.0.1").unwrap());
    theirs.write_all(b"hello").await.unwrap();
    let mut buffer = [0; 3];
    tracked.read_exact(&mut buffer).await.unwrap();
    tracked.read_exact(&mut buffer[..2]).await.unwrap();
    tracked.write_all(b"goodbye").await.unwrap();
    assert_eq!(tracked.handle().bytes(), (5, 7));
    let other = pool(&world.registry, "test/other");
    tracked.handle().enter(&other).unwrap();
    tracked.moved();
    tracked.write_all(b"!").await.unwrap();
    let (metrics, there) = (world.pool.metrics(), other.metrics());
    assert_eq!(
        (metrics.bytes_received, metrics.bytes_sent, there.bytes_sent),
        (5, 7, 1)
    );
    let info = tracked.handle().info();
    assert_eq!((info.bytes_received, info.bytes_sent), (5, 8));
    let (_io, guard) = tracked.into_parts();
    assert_eq!(
        world.registry.occupancy().active,
        1,
        "the guard holds the slot"
    );
    drop(guard);
    assert_eq!(world.registry.occupancy().active, 0);
}

/// Bytes that fail, and see whether their slot is still held when they are dropped.
struct Failing {
    pool: wharf_pool::Pool,
    held_at_drop: std::sync::Arc<std::sync::atomic::AtomicU32>,
}

impl Drop for Failing {
    fn drop(&mut self) {
        let held = self.pool.active();
        self.held_at_drop
            .store(held, std::sync::atomic::Ordering::Relaxed);
    }
}

impl AsyncRead for Failing {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buf.put_slice(b"ab");
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncWrite for Failing {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

#[test]
fn what_fails_counts_nothing_and_the_socket_goes_before_the_slot() {
    let world = World::new();
    let held_at_drop = std::sync::Arc::default();
    let io = Failing {
        pool: world.pool.clone(),
        held_at_drop: std::sync::Arc::clone(&held_at_drop),
    };
    let mut tracked = Tracked::new(io, world.open("10.0.0.1").unwrap());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(
        pin!(tracked.write(b"x")).poll(&mut cx),
        Poll::Ready(Err(_))
    ));
    assert!(matches!(
        pin!(tracked.read(&mut [0; 8])).poll(&mut cx),
        Poll::Ready(Err(_))
    ));
    assert_eq!(tracked.handle().bytes(), (0, 0));
    drop(tracked);
    assert_eq!(held_at_drop.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(world.pool.active(), 0);
}
