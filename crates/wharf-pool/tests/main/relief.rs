//! What happens when memory runs short: who is given up, in which order, and who is not.

use std::time::Duration;

use wharf_pool::{CloseReason, Command, ConnectionGuard, Phase, RequestGuard, Rung};

use crate::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// A connection with so many requests in flight.
fn busy(world: &World, requests: u32) -> (ConnectionGuard, Vec<RequestGuard>) {
    let guard = world.open("192.0.2.7").unwrap();
    guard.handle().received(100);
    let begin = |_| guard.handle().begin_request(&world.pool);
    let requests = (0..requests).map(begin).collect();
    (guard, requests)
}

fn told(guard: &ConnectionGuard) -> Option<Command> {
    guard.handle().command()
}

#[test]
fn idle_connections_are_left_after_the_time_of_the_rung_and_busy_ones_never_for_being_idle() {
    for (rung, seconds) in [
        (Rung::Calm, 75),
        (Rung::Easing, 57),
        (Rung::Squeezing, 39),
        (Rung::Parting, 21),
        (Rung::Refusing, 2),
    ] {
        let mut world = World::new();
        let (idle, requests) = busy(&world, 1);
        drop(requests);
        let (working, _requests) = busy(&world, 1);
        assert_eq!(idle.handle().phase(), Phase::Idle);
        world.pass(SECOND * (seconds - 1));
        assert_eq!(world.registry.relieve(rung, 0.9).left, 0, "{rung:?}");
        world.pass(SECOND * 2);
        let left = world.registry.relieve(rung, 0.9).left;
        assert_eq!(left, usize::from(rung != Rung::Calm), "{rung:?}");
        let pressure = Some(Command::Finish(CloseReason::Pressure));
        assert_eq!(told(&idle) == pressure, rung != Rung::Calm);
        assert_eq!(told(&working), None);
    }
}

#[test]
fn silent_connections_are_left_as_idle_ones_are() {
    let mut world = World::new();
    let silent = world.open("192.0.2.7").unwrap();
    world.pass(SECOND);
    assert_eq!(world.registry.relieve(Rung::Refusing, 0.96).left, 0);
    world.pass(SECOND * 2);
    assert_eq!(world.registry.relieve(Rung::Refusing, 0.96).left, 1);
    assert!(told(&silent).is_some());
}

#[test]
fn those_with_most_in_flight_are_asked_first_and_those_with_few_not_at_all() {
    let world = World::new();
    let few: Vec<_> = (0..40).map(|_| busy(&world, 7)).collect();
    let many = busy(&world, 8);
    let most = busy(&world, 90);
    let asked = || world.registry.relieve(Rung::Parting, 0.93).asked;
    assert_eq!(asked(), 1);
    assert_eq!(told(&most.0), Some(Command::Finish(CloseReason::Pressure)));
    assert_eq!(told(&many.0), None);
    assert_eq!((asked(), asked()), (1, 0));
    assert!(few.iter().all(|(guard, _)| told(guard).is_none()));
}

#[test]
fn nobody_is_cut_before_the_last_rung_and_then_those_with_most_in_flight() {
    let world = World::new();
    let few: Vec<_> = (0..8).map(|n| busy(&world, n)).collect();
    let most = busy(&world, 90);
    for rung in [Rung::Easing, Rung::Squeezing, Rung::Parting, Rung::Refusing] {
        assert_eq!(world.registry.relieve(rung, 0.95).cut, 0);
    }
    assert_eq!(world.registry.relieve(Rung::Cutting, 0.99).cut, 1);
    assert_eq!(told(&most.0), Some(Command::Abort(CloseReason::Pressure)));
    assert!(few.iter().all(|(guard, _)| told(guard).is_none()));
}

#[test]
fn a_rung_is_seen_by_all_and_makes_drivers_look_again() {
    let world = World::new();
    let (strain, before) = (world.registry.strain(), world.pool.generation());
    world.registry.relieve(Rung::Refusing, 0.96);
    assert!(strain.parts() && strain.refuses());
    assert_eq!(world.pool.rung(), Rung::Refusing);
    let refusing = world.pool.generation();
    assert!(refusing > before);
    world.registry.relieve(Rung::Refusing, 0.97);
    assert_eq!(world.pool.generation(), refusing, "nothing has changed");
    world.registry.relieve(Rung::Calm, 0.1);
    assert!(!strain.parts() && world.pool.generation() > refusing);
}

#[test]
fn a_share_grows_again_when_others_have_gone() {
    let strain = World::new().registry.strain();
    assert_eq!(
        strain.share().bytes(),
        None,
        "nobody has said what there is"
    );
    strain.set_memory(Some(256 << 20));
    let first = strain.share();
    assert_eq!(first.bytes(), Some(32 << 20));
    assert_eq!(strain.share().bytes(), Some(16 << 20));
    drop(first);
    assert_eq!(strain.share().bytes(), Some(32 << 20));
}
