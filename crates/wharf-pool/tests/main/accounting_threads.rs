//! The same accounting with real threads: no limit is ever passed, and nothing is lost.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use wharf_pool::config::{Count, Value};
use wharf_pool::{CloseReason, ConnectionGuard, Occupancy, Pool, Registry, ScopeLimits, Timestamp};

use crate::world::{at_most, listener, open, patch, pool};

const WORKERS: u32 = 6;
const CHANGES: u32 = 1_500;

/// A small generator of numbers (xorshift), so that a run needs no lock of its own.
struct Dice(u32);

impl Dice {
    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(u32::try_from(items.len()).unwrap()) as usize]
    }

    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % n
    }
}

/// Opens, moves, asks and closes as fast as it can.
fn work(pools: &[Pool; 2], worker: u32, stop: &AtomicBool) -> u32 {
    let mut dice = Dice(0x9e37_79b9 ^ (worker + 1));
    let (mut open_now, mut opened) = (Vec::<ConnectionGuard>::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        match dice.below(5) {
            0 | 1 => {
                let peer = format!("10.0.0.{}", dice.below(4));
                if let Ok(slot) = dice.of(pools).reserve()
                    && dice.below(8) > 0
                    && let Ok(guard) = open(slot, &peer)
                {
                    open_now.push(guard);
                    opened += 1;
                }
            }
            2 if !open_now.is_empty() => {
                let guard = dice.of(&open_now);
                if let Ok(reservation) = guard.handle().reserve_move(dice.of(pools))
                    && dice.below(2) == 0
                {
                    reservation.commit();
                }
            }
            3 => {
                dice.of(pools).close_all(CloseReason::Admin);
            }
            _ => {
                open_now.truncate(dice.below(8) as usize);
            }
        }
    }
    opened
}

/// Nothing may come in while a scope holds its limit or more: from one look to the next it may only
/// shrink, or grow up to the limit. Sound while only the looker changes that limit.
fn watch(mut before: Occupancy, look: impl Fn() -> Occupancy) {
    for _ in 0..20 {
        let now = look();
        let (held, limit) = (now.active + now.reserved, now.limit.unwrap_or(u32::MAX));
        let most = limit.max(before.active + before.reserved);
        assert!(
            held <= most,
            "{held} where {most} were the most: {before:?} then {now:?}"
        );
        before = now;
    }
}

#[test]
fn no_limit_is_passed_while_limits_change_under_threads_and_all_ends_at_zero() {
    let registry: Registry = Registry::new(ScopeLimits::default());
    registry.tick(
        Timestamp::after_start(Duration::from_secs(1)),
        Duration::ZERO,
    );
    let pools = ["t/x", "t/y"].map(|name| pool(&registry, name));
    let door = registry.listener(&listener("t")).unwrap();
    let (stop, opened) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (pools, stop, opened) = (&pools, &stop, &opened);
            scope.spawn(move || {
                opened.fetch_add(work(pools, worker, stop), Ordering::Relaxed);
            });
        }
        let mut dice = Dice(7);
        for change in 0..CHANGES {
            let limit = dice.below(24) + 1;
            match change % 3 {
                0 => {
                    registry.update_limits(at_most(limit));
                    watch(registry.occupancy(), || registry.occupancy());
                }
                1 => {
                    door.update_limits(at_most(limit));
                    watch(door.occupancy(), || door.occupancy());
                }
                _ => {
                    let limit = patch("max_connections", i64::from(limit));
                    pools[0].update_config(&limit).unwrap();
                    watch(pools[0].occupancy(), || pools[0].occupancy());
                }
            }
            registry.tick(
                Timestamp::from_nanos(u64::from(change) * 10_000_000),
                Duration::ZERO,
            );
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(opened.into_inner() > 0);
    for pool in &pools {
        let (there, metrics) = (pool.occupancy(), pool.metrics());
        assert_eq!((there.active, there.reserved), (0, 0));
        let closed: u64 = metrics.closed_by_reason.iter().map(|(_, n)| n).sum();
        assert_eq!(metrics.accepted, metrics.moved + closed);
    }
    let everywhere = registry.occupancy();
    assert_eq!((everywhere.active, everywhere.reserved), (0, 0));
    assert_eq!((registry.sources(), registry.records()), (0, 0));
}

#[test]
fn a_guard_dropped_against_its_move_and_its_announcement_is_counted_once() {
    let registry: Registry = Registry::new(ScopeLimits::default());
    let [x, y] = ["t/x", "t/y"].map(|name| pool(&registry, name));
    for round in 0..2_000_u32 {
        let guard = open(x.reserve().unwrap(), "10.0.0.1").unwrap();
        let (handle, other) = (guard.handle(), guard.handle());
        std::thread::scope(|scope| {
            scope.spawn(|| handle.reserve_move(&y).unwrap().commit());
            scope.spawn(|| other.announce("10.0.0.2:1".parse().unwrap()).unwrap());
            if round % 2 == 0 {
                std::thread::yield_now();
            }
            drop(guard);
        });
        assert_eq!(registry.occupancy(), Occupancy::default());
        assert_eq!((x.active(), y.active(), registry.sources()), (0, 0, 0));
    }
    let totals = |pool: &Pool| {
        let metrics = pool.metrics();
        let closed: u64 = metrics.closed_by_reason.iter().map(|(_, n)| n).sum();
        assert_eq!(metrics.accepted, metrics.moved + closed);
        closed
    };
    assert_eq!(totals(&x) + totals(&y), 2_000);
}

#[test]
fn patches_at_once_do_not_lose_each_other() {
    let registry: Registry = Registry::new(ScopeLimits::default());
    let pool = pool(&registry, "t/x");
    // Each thread is the only one that writes its setting, so it must find there what it wrote.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..3_000 {
                pool.update_config(&patch("max_connections", i64::from(round)))
                    .unwrap();
                let limit = pool.config().common.max_connections.map(Count::get);
                assert_eq!((limit, pool.occupancy().limit), (Some(round), Some(round)));
            }
        });
        scope.spawn(|| {
            for round in 1..3_000 {
                let age = Value::text(format!("{round}s"));
                pool.update_config(&patch("max_age", age)).unwrap();
                assert_eq!(
                    pool.config().common.max_age,
                    Some(Duration::from_secs(round))
                );
            }
        });
    });
}
