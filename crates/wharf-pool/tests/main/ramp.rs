//! After the start the limit of the process is small, and grows.

use std::time::Duration;

use wharf_pool::config::{DryRun, Limit};
use wharf_pool::{ConnectionGuard, DryRunReason, RejectReason, ScopeLimits};

use crate::world::{World, at_most, listener};

const SECOND: Duration = Duration::from_secs(1);

/// A world that has served for a second, of ten that it takes until a hundred connections may be there.
fn ramping(dry_run: &[Limit]) -> World {
    let mut limits: ScopeLimits = at_most(100);
    limits.accept_ramp = Some(10 * SECOND);
    limits.dry_run = dry_run.iter().copied().collect::<DryRun>();
    World::with(limits)
}

fn fill(world: &World) -> Vec<ConnectionGuard> {
    std::iter::from_fn(|| world.open("10.0.0.1").ok()).collect()
}

#[test]
fn a_tenth_is_let_in_at_once_and_everybody_at_the_end() {
    let mut world = ramping(&[]);
    let door = world.registry.listener(&listener("test")).unwrap();
    let (mut guards, full) = (fill(&world), RejectReason::ProcessLimit);
    assert_eq!(guards.len(), 10);
    assert!(door.is_too_early(full) && !door.is_too_early(RejectReason::PoolLimit));
    assert_eq!(
        world.open("10.0.0.1").unwrap_err(),
        RejectReason::ProcessLimit
    );
    for expected in [40, 70, 100, 100] {
        world.pass(3 * SECOND);
        guards.extend(fill(&world));
        assert_eq!(guards.len(), expected as usize);
        assert_eq!(world.registry.occupancy().limit, Some(expected));
    }
    assert!(!door.is_too_early(full));
}

#[tokio::test]
async fn who_waits_for_a_place_hears_that_there_are_more() {
    let mut world = ramping(&[]);
    let pool = world.pool.clone();
    let _guards = fill(&world);
    let waiting = tokio::task::JoinSet::from_iter([async move { pool.reserved().await }]);
    tokio::task::yield_now().await;
    world.pass(SECOND);
    assert_eq!(waiting.join_all().await.len(), 1);
}

#[test]
fn a_ramp_that_is_set_later_is_of_the_time_since_the_start() {
    let mut world = ramping(&[]);
    world.pass(10 * SECOND);
    let mut limits: ScopeLimits = at_most(100);
    limits.accept_ramp = Some(2 * SECOND);
    world.registry.update_limits(limits);
    assert_eq!(fill(&world).len(), 100);
}

#[test]
fn on_a_dry_run_everybody_is_let_in_and_who_is_too_early_is_counted() {
    let world = ramping(&[Limit::AcceptRamp]);
    let guards = fill(&world);
    assert_eq!(guards.len(), 100);
    let counted = world.pool.metrics().dry_run_by_reason;
    assert!(
        counted.contains(&(DryRunReason::ProcessLimit, 90)),
        "{counted:?}"
    );
}
