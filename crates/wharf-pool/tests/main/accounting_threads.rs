//! The same accounting with real threads: no limit is ever passed, and nothing is lost.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use wharf_pool::config::{Count, Value};
use wharf_pool::{
    CloseReason, ConnectionGuard, MoveReservation, Occupancy, Pool, Registry, RejectReason,
    ScopeLimits, Timestamp,
};

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

/// A source, and the bounds of how many connections it is charged with.
#[derive(Default)]
struct Source {
    /// Counted up after a connection is charged and down before it ends.
    least: AtomicU32,
    /// Counted up before a connection is charged and down after it has ended.
    most: AtomicU32,
}

impl Source {
    /// Counts a charge that may fail.
    fn count<T, E>(&self, charge: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.most.fetch_add(1, Ordering::SeqCst);
        let charged = charge();
        match charged {
            Ok(_) => self.least.fetch_add(1, Ordering::SeqCst),
            Err(_) => self.most.fetch_sub(1, Ordering::SeqCst),
        };
        charged
    }

    /// Counts the end of a charge.
    fn uncount<T>(&self, end: impl FnOnce() -> T) -> T {
        self.least.fetch_sub(1, Ordering::SeqCst);
        let ended = end();
        self.most.fetch_sub(1, Ordering::SeqCst);
        ended
    }
}

/// A connection, and the source that is charged with it, if any.
type Charged<'a> = (ConnectionGuard, Option<&'a Source>);

fn close((guard, source): Charged<'_>) {
    match source {
        Some(source) => source.uncount(|| drop(guard)),
        None => drop(guard),
    }
}

/// Has a proxy announce the `n`th source, which is charged if its share allows it.
fn announce<'a>((guard, source): &mut Charged<'a>, sources: &'a [Source; 4], n: u32) {
    let (before, after) = (source.take(), &sources[n as usize]);
    let peer = format!("{}:1", address(n)).parse().unwrap();
    let recharge = || after.count(|| guard.handle().announce(peer));
    let announced = match before {
        Some(before) => before.uncount(recharge),
        None => recharge(),
    };
    *source = announced.is_ok().then_some(after);
}

fn address(n: u32) -> String {
    format!("10.0.0.{n}")
}

/// Opens, moves, announces and closes as fast as it can.
fn work_by_source(pools: &[Pool; 2], sources: &[Source; 4], worker: u32, stop: &AtomicBool) {
    let mut dice = Dice(0x9e37_79b9 ^ (worker + 1));
    let (mut open_now, mut moves) = (Vec::<Charged<'_>>::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let n = dice.below(4);
        match dice.below(8) {
            0..4 => {
                let source = &sources[n as usize];
                let reserved = dice.of(pools).reserve();
                let opened = reserved.and_then(|slot| source.count(|| open(slot, &address(n))));
                open_now.extend(opened.map(|guard| (guard, Some(source))));
            }
            4 if !open_now.is_empty() => {
                let at = dice.below(u32::try_from(open_now.len()).unwrap()) as usize;
                announce(&mut open_now[at], sources, n);
            }
            5 if !open_now.is_empty() => {
                let handle = dice.of(&open_now).0.handle();
                moves.extend(handle.reserve_move(dice.of(pools)));
            }
            6 => drop(moves.pop().map(MoveReservation::commit)),
            _ => {
                let kept = open_now.len().min(dice.below(8) as usize);
                open_now.drain(kept..).for_each(close);
                moves.truncate(dice.below(4) as usize);
            }
        }
    }
    open_now.into_iter().for_each(close);
}

/// As [`watch`], for the share of each source: what is known to be there against what may have been
/// there at the look before.
fn watch_shares(sources: &[Source; 4], share: u32) {
    let most = || sources.each_ref().map(|s| s.most.load(Ordering::SeqCst));
    let mut before = most();
    for _ in 0..20 {
        for (source, before) in sources.iter().zip(before) {
            let held = source.least.load(Ordering::SeqCst);
            assert!(
                held <= share.max(before),
                "{held} with a share of {share} and {before} before"
            );
        }
        before = most();
    }
}

#[test]
fn a_share_that_is_switched_on_and_off_under_threads_is_kept_to_while_it_is_on() {
    const SHARE: u32 = 2;
    let registry: Registry = Registry::new(ScopeLimits::default());
    let pools = ["t/x", "t/y"].map(|name| pool(&registry, name));
    let door = registry.listener(&listener("t")).unwrap();
    let share = |on: bool| {
        let mut limits = ScopeLimits::default();
        limits.max_connections_per_ip = Count::new(SHARE).filter(|_| on);
        limits
    };
    let share_of_pool = |pool: &Pool, on: bool| {
        let value = if on {
            Value::from(i64::from(SHARE))
        } else {
            Value::Off
        };
        pool.update_config(&patch("max_connections_per_ip", value))
            .unwrap();
    };
    let (stop, sources) = (AtomicBool::new(false), <[Source; 4]>::default());
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (pools, stop, sources) = (&pools, &stop, &sources);
            scope.spawn(move || work_by_source(pools, sources, worker, stop));
        }
        for change in 0..CHANGES {
            // Four on, four off; in the end all are on.
            let on = (CHANGES - 1 - change) % 8 < 4;
            match change % 4 {
                0 => registry.update_limits(share(on)),
                1 => door.update_limits(share(on)),
                2 => share_of_pool(&pools[0], on),
                _ => share_of_pool(&pools[1], on),
            }
            if on && change % 4 < 2 {
                watch_shares(&sources, SHARE);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!((registry.sources(), registry.records()), (0, 0));
    // In no scope was a count left behind, and in none does one lack.
    let assert_kept_to = || {
        for (pool, n) in pools.iter().zip([0, 3]) {
            let newcomer = || open(pool.reserve().unwrap(), &address(n));
            let _held: Vec<_> = (0..SHARE).map(|_| newcomer().unwrap()).collect();
            assert_eq!(newcomer().unwrap_err(), RejectReason::IpLimit);
        }
    };
    assert_kept_to();
    registry.update_limits(share(false));
    assert_kept_to();
    door.update_limits(share(false));
    assert_kept_to();
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
