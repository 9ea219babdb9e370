//! A limit on a dry run lets everybody in, and says whom it would not have.

use std::time::Duration;

use wharf_pool::config::{Count, DryRun, Limit, PerSecond, Value};
use wharf_pool::events::{EventKind, Subscription};
use wharf_pool::{DryRunReason, RejectReason, ScopeLimits};

use crate::world::{World, patch};

const SECOND: Duration = Duration::from_secs(1);

fn only(limits: &[Limit]) -> DryRun {
    limits.iter().copied().collect()
}

fn names(limits: &[Limit]) -> Value {
    Value::List(
        limits
            .iter()
            .map(|limit| Value::text(limit.as_str()))
            .collect(),
    )
}

impl World {
    fn rehearsed(&self) -> Vec<(DryRunReason, u64)> {
        let mut all = self.pool.metrics().dry_run_by_reason;
        all.retain(|(_, n)| *n > 0);
        all
    }
}

fn told(events: &mut Subscription) -> Vec<(&'static str, DryRunReason, u64)> {
    let mut told = Vec::new();
    while let Some(event) = events.try_next() {
        let name = event.kind.as_str();
        if let EventKind::WouldReject {
            reason,
            connections,
            ..
        }
        | EventKind::WouldClose {
            reason,
            connections,
            ..
        } = event.kind
        {
            assert_eq!(event.pool.unwrap().as_str(), "test/line");
            told.push((name, reason, connections));
        }
    }
    told
}

#[test]
fn a_full_pool_lets_in_who_it_would_not_and_tells_it_once_a_second() {
    let mut world = World::new();
    world.set("max_connections", 2);
    world.set("dry_run", names(&[Limit::MaxConnections]));
    let mut events = world.registry.events().subscribe();
    let held: Vec<_> = (0..5).map(|_| world.open("10.0.0.1").unwrap()).collect();
    assert_eq!(world.pool.active(), 5);
    assert_eq!(world.rehearsed(), [(DryRunReason::PoolLimit, 3)]);
    // A limit that does not hold fills nothing.
    assert_eq!(world.pool.occupancy().limit, None);
    assert!(world.pool.can_accept());
    world.pass(SECOND);
    assert_eq!(
        told(&mut events),
        [("would_reject", DryRunReason::PoolLimit, 3)]
    );
    world.pass(SECOND);
    assert_eq!(told(&mut events), []);
    assert_eq!(
        world
            .pool
            .metrics()
            .rejected_by_reason
            .iter()
            .map(|(_, n)| n)
            .sum::<u64>(),
        0
    );
    drop(held);
}

#[test]
fn a_slot_that_is_not_used_would_have_turned_nobody_away() {
    let world = World::new();
    world.set("max_connections", 1);
    world.set("dry_run", names(&[Limit::MaxConnections]));
    let first = world.open("10.0.0.1").unwrap();
    for _ in 0..10 {
        drop(world.pool.reserve().unwrap());
    }
    assert_eq!(world.rehearsed(), []);
    drop(first);
}

#[test]
fn shares_and_rates_are_told_apart_and_the_process_has_its_own() {
    let mut limits = ScopeLimits::from(Count::new(1).unwrap());
    limits.accept_rate = PerSecond::new(2);
    limits.dry_run = only(Limit::OF_ADMISSION);
    let world = World::with(limits);
    world.set("max_connections_per_ip", 2);
    world.set("dry_run", names(&[Limit::MaxConnectionsPerIp]));
    let held: Vec<_> = (0..4).map(|_| world.open("10.0.0.1").unwrap()).collect();
    let expected = [
        (DryRunReason::ProcessLimit, 3),
        (DryRunReason::IpLimit, 2),
        (DryRunReason::Rate, 2),
    ];
    assert_eq!(world.rehearsed(), expected);
    drop(held);
    // Who comes when the others have left is within its share.
    drop(world.open("10.0.0.1").unwrap());
    assert_eq!(world.rehearsed()[1], (DryRunReason::IpLimit, 2));
}

#[test]
fn a_limit_that_holds_refuses_beside_one_that_does_not() {
    let world = World::new();
    world.set("max_connections", 1);
    world.set("max_connections_per_ip", 1);
    world.set("dry_run", names(&[Limit::MaxConnections]));
    let first = world.open("10.0.0.1").unwrap();
    assert_eq!(world.open("10.0.0.1").unwrap_err(), RejectReason::IpLimit);
    let second = world.open("10.0.0.2").unwrap();
    assert_eq!(world.rehearsed(), [(DryRunReason::PoolLimit, 1)]);
    drop((first, second));
}

#[test]
fn the_limit_holds_from_the_moment_at_which_its_dry_run_ends() {
    let world = World::new();
    world.set("max_connections", 1);
    world.set("dry_run", names(&[Limit::MaxConnections]));
    let held = [
        world.open("10.0.0.1").unwrap(),
        world.open("10.0.0.1").unwrap(),
    ];
    let changed = world
        .pool
        .update_config(&patch("dry_run", names(&[])))
        .unwrap();
    assert_eq!(changed[0].old, names(&[Limit::MaxConnections]));
    assert_eq!(world.open("10.0.0.1").unwrap_err(), RejectReason::PoolLimit);
    assert_eq!(world.pool.occupancy().limit, Some(1));
    drop(held);
}

#[test]
fn what_would_have_ended_a_connection_is_told_with_its_pool() {
    let mut world = World::new();
    let mut events = world.registry.events().subscribe();
    let guard = world.open("10.0.0.1").unwrap();
    guard.handle().would_close(DryRunReason::Idle);
    world.pass(SECOND);
    assert_eq!(told(&mut events), [("would_close", DryRunReason::Idle, 1)]);
}
