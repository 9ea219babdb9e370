//! What does it cost to count a connection, and a request, while so many others are open?
//!
//! The bars: reserve, open and drop on one task within 300 ns up to 100,000 live
//! connections, within 1 µs at a million. Live connections come from as many sources, each armed in
//! the wheel, as in a server. Where sources have a share, the count of the newcomer's is one more
//! line of memory that is in no cache. `cargo bench -p wharf-pool`.

use std::cell::LazyCell;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::time::Instant;
use wharf_pool::config::{Count, PoolConfig};
use wharf_pool::{
    Charge, ConnectionGuard, Endpoints, Outcome, Pool, Registry, ScopeLimits, Timestamp,
};

/// A registry with so many open connections, and their pool.
struct Crowd {
    registry: Registry,
    pool: Pool,
    guards: Vec<ConnectionGuard>,
}

impl Crowd {
    fn of(live: u32) -> Self {
        let registry = Registry::new(ScopeLimits::default());
        let name = "bench/line".parse().expect("a name");
        let pool = registry
            .get_or_create(&name, PoolConfig::default())
            .expect("a new pool");
        registry.tick(at(Duration::from_secs(1)), Duration::ZERO);
        let guards: Vec<_> = (0..live).map(|i| open(&pool, i)).collect();
        for (guard, i) in guards.iter().zip(0_u32..) {
            guard
                .handle()
                .set_deadline(at(Duration::from_millis(u64::from(i % 75_000))));
        }
        Self {
            registry,
            pool,
            guards,
        }
    }
}

fn at(time: Duration) -> Timestamp {
    Timestamp::after_start(time)
}

fn open(pool: &Pool, source: u32) -> ConnectionGuard {
    let peer = SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + source), 1));
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let slot = pool.reserve().expect("there is no limit");
    slot.open(Endpoints::new(peer, local), Charge::Peer, ())
        .expect("there is no limit")
}

fn connections(c: &mut Criterion) {
    let mut group = c.benchmark_group("reserve, open, drop");
    group.throughput(Throughput::Elements(1));
    for live in [1_000, 100_000, 1_000_000] {
        let crowd = LazyCell::new(|| Crowd::of(live));
        let mut source = 0;
        group.bench_function(BenchmarkId::new("from one source", live), |b| {
            b.iter(|| open(&crowd.pool, 0));
        });
        group.bench_function(BenchmarkId::new("from any source", live), |b| {
            b.iter(|| {
                source = (source + 7_919) % live;
                open(&crowd.pool, source)
            });
        });
        group.bench_function(BenchmarkId::new("on 2 threads", live), |b| {
            b.iter_custom(|iterations| on_two_threads(&crowd, iterations));
        });
        group.bench_function(
            BenchmarkId::new("from any source with a share", live),
            |b| {
                crowd.registry.update_limits(share());
                b.iter(|| {
                    source = (source + 7_919) % live;
                    open(&crowd.pool, source)
                });
            },
        );
    }
}

/// Each source may hold so many that none is kept out.
fn share() -> ScopeLimits {
    let mut limits = ScopeLimits::default();
    limits.max_connections_per_ip = Count::new(1_000);
    limits
}

/// How long nobody can come or go because every connection is looked at.
fn shares(c: &mut Criterion) {
    let mut group = c.benchmark_group("switch a share on");
    for live in [1_000, 100_000, 1_000_000] {
        let crowd = LazyCell::new(|| Crowd::of(live));
        group.bench_function(BenchmarkId::from_parameter(live), |b| {
            b.iter_batched(
                || crowd.registry.update_limits(ScopeLimits::default()),
                |()| crowd.registry.update_limits(share()),
                BatchSize::PerIteration,
            );
        });
    }
}

/// The time that each of two threads takes for as many connections at once.
fn on_two_threads(crowd: &Crowd, iterations: u64) -> Duration {
    let (pool, live) = (&crowd.pool, crowd.pool.active());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || {
                // Every other source is the one thread's, the rest the other's.
                let mut sources = (thread..live).step_by(2).cycle();
                for _ in 0..iterations {
                    let source = sources.next().expect("it goes round and round");
                    drop(black_box(open(pool, source)));
                }
            });
        }
    });
    begun.elapsed()
}

fn requests(c: &mut Criterion) {
    let crowd = Crowd::of(1_000);
    let handle = crowd.guards[7].handle();
    c.bench_function("begin and end a request", |b| {
        b.iter(|| {
            let request = handle.begin_request(&crowd.pool);
            request.end(Outcome::Success, black_box(Duration::from_micros(50)));
        });
    });
    let mut deadline = 10_000;
    c.bench_function("move a deadline later", |b| {
        b.iter(|| {
            deadline += 1;
            handle.set_deadline(Timestamp::from_nanos(deadline * 1_000_000));
        });
    });
    c.bench_function("count received bytes", |b| {
        b.iter(|| handle.received(black_box(100)));
    });
}

/// One turn in steady state: a million idle connections with deadlines over 75 s, of which each
/// turn finds 1/750th and arms it again.
fn wheel(c: &mut Criterion) {
    let crowd = LazyCell::new(|| Crowd::of(1_000_000));
    let mut now = Duration::from_secs(1);
    c.bench_function("a tick with 1000000 idle connections", |b| {
        b.iter_batched(
            || {
                now += Duration::from_millis(100);
                // Each that the turn finds has been active since, and is due 75 s after.
                for guard in crowd
                    .guards
                    .iter()
                    .skip(now.as_millis() as usize / 100 % 750)
                    .step_by(750)
                {
                    guard
                        .handle()
                        .set_deadline(at(now + Duration::from_secs(75)));
                }
                at(now)
            },
            |now| crowd.registry.tick(now, Duration::ZERO),
            BatchSize::PerIteration,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    targets = connections, shares, requests, wheel
}
criterion_main!(benches);
