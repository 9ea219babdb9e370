//! Health follows what happened in the last second, with its cause, and is told when it changes.

use std::time::Duration;

use wharf_pool::events::EventKind;
use wharf_pool::{HealthStatus, Outcome, ServingState, Timestamp};

use crate::world::{World, at_most, listener};

fn state(world: &World) -> (HealthStatus, String) {
    let health = world.pool.health();
    (health.status, health.message)
}

fn said(status: HealthStatus, message: &str) -> (HealthStatus, String) {
    (status, message.to_owned())
}

fn changes(
    events: &mut wharf_pool::events::Subscription,
) -> Vec<(HealthStatus, HealthStatus, &str)> {
    let mut changes = Vec::new();
    while let Some(event) = events.try_next() {
        if let EventKind::HealthStatusChanged { from, to, cause } = event.kind {
            changes.push((from, to, cause));
        }
    }
    changes
}

#[test]
fn a_full_pool_is_overloaded_by_its_connections_and_recovers_step_by_step() {
    let mut world = World::new();
    let mut events = world.registry.events().subscribe();
    world.set("max_connections", 10_i64);
    let mut guards: Vec<_> = (0..10).map(|_| world.open("10.0.0.1").unwrap()).collect();
    world.pass(Duration::from_secs(3));
    assert_eq!(
        state(&world),
        said(
            HealthStatus::Overloaded,
            "overloaded because of connections"
        )
    );
    let health = world.pool.health();
    assert_eq!(
        (health.utilization_ratio, health.active_connections),
        (1.0, 10)
    );
    assert_eq!(health.max_connections, Some(10));
    guards.truncate(1);
    world.pass(Duration::from_mins(1));
    assert_eq!(
        state(&world),
        said(HealthStatus::Healthy, "serving with room to spare")
    );
    assert_eq!(
        changes(&mut events),
        [
            (
                HealthStatus::Healthy,
                HealthStatus::Overloaded,
                "connections"
            ),
            (
                HealthStatus::Overloaded,
                HealthStatus::Degraded,
                "connections"
            ),
            (HealthStatus::Degraded, HealthStatus::Healthy, "connections"),
        ]
    );
}

#[test]
fn the_tightest_limit_counts_also_when_it_is_the_process() {
    let mut world = World::with(at_most(10));
    world.set("max_connections", 1_000_i64);
    let _guards: Vec<_> = (0..9).map(|_| world.open("10.0.0.1").unwrap()).collect();
    world.pass(Duration::from_secs(5));
    let health = world.pool.health();
    assert_eq!(
        (health.status, health.max_connections),
        (HealthStatus::Degraded, Some(10))
    );
    assert_eq!(health.utilization_ratio, 0.9);
}

#[test]
fn errors_make_it_unavailable_and_rejections_overloaded() {
    let mut world = World::new();
    let guard = world.open("10.0.0.1").unwrap();
    for _ in 0..5 {
        for _ in 0..30 {
            let request = guard.handle().begin_request(&world.pool);
            request.end(Outcome::ServerError, Duration::from_millis(1));
        }
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(
        state(&world),
        said(HealthStatus::Unavailable, "unavailable because of errors")
    );
    assert_eq!(world.pool.health().error_rate, 1.0);

    let mut world = World::new();
    for _ in 0..5 {
        for _ in 0..30 {
            world.pool.reject(wharf_pool::RejectReason::IpLimit);
        }
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(
        state(&world),
        said(HealthStatus::Overloaded, "overloaded because of rejections")
    );
    assert_eq!(world.pool.health().rejected_connections, 150);
}

#[test]
fn a_process_that_starts_or_drains_and_a_listener_that_failed_are_unavailable() {
    let mut world = World::new();
    let unavailable = |cause| {
        (
            HealthStatus::Unavailable,
            format!("unavailable because of {cause}"),
        )
    };
    world.registry.set_state(ServingState::Draining);
    world.pass(Duration::from_secs(1));
    assert_eq!(state(&world), unavailable("draining"));
    world.registry.set_state(ServingState::Serving);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.pool.health().status, HealthStatus::Healthy);
    let door = world.registry.listener(&listener("test")).unwrap();
    door.set_failed(true);
    world.pass(Duration::from_secs(1));
    assert_eq!(state(&world), unavailable("listener_failed"));
    door.set_failed(false);
    world.pass(Duration::from_mins(3));
    assert_eq!(world.pool.health().status, HealthStatus::Healthy);
}

#[test]
fn late_ticks_say_that_the_workers_are_busy_and_one_late_tick_does_not() {
    let mut world = World::new();
    let mut now = world.now();
    for (late_in_ten, status, message) in [
        (1, HealthStatus::Healthy, "serving with room to spare"),
        (
            10,
            HealthStatus::Overloaded,
            "overloaded because of scheduler_lag",
        ),
    ] {
        for tick in 0..50 {
            now = now.after(Duration::from_millis(100));
            let lag = Duration::from_millis(if tick % 10 < late_in_ten { 19 } else { 0 });
            world.registry.tick(now, lag);
        }
        assert_eq!(state(&world), said(status, message));
    }
    world.pass(Duration::from_secs(0));
    world.registry.tick(Timestamp::ZERO, Duration::ZERO);
    assert_eq!(
        world.registry.clock().now(),
        now,
        "the clock does not go back"
    );
}
