//! What happens at a limit: who is kept out and why, who has to leave for it, and in which order.

use std::time::Duration;

use wharf_pool::config::{Count, PerSecond, Value, WhenFull};
use wharf_pool::{
    Charge, CloseReason, Command, ConnectionGuard, ConnectionHandle, Listener, Phase, Pool,
    RejectReason, ScopeLimits,
};

use crate::world::{World, at_most, endpoints, ip, listener, open, patch, pool};

const SECOND: Duration = Duration::from_secs(1);

/// A world whose listener leads to its pool.
fn with_door() -> (World, Listener) {
    let world = World::new();
    let door = world.registry.listener(&listener("test")).unwrap();
    door.leads_to(std::slice::from_ref(&world.pool));
    (world, door)
}

/// A connection that has been served and has nothing in flight.
fn idle(world: &World, peer: &str) -> ConnectionGuard {
    let guard = world.open(peer).unwrap();
    guard.handle().received(100);
    drop(guard.handle().begin_request(&world.pool));
    assert_eq!(guard.handle().phase(), Phase::Idle);
    guard
}

fn told<'a>(guards: impl IntoIterator<Item = &'a ConnectionGuard>) -> Vec<bool> {
    let reason = |handle: ConnectionHandle| handle.command().map(Command::reason);
    let told = |guard: &ConnectionGuard| reason(guard.handle());
    guards
        .into_iter()
        .map(|guard| told(guard) == Some(CloseReason::Reclaimed))
        .collect()
}

#[test]
fn the_outermost_limit_that_is_reached_is_the_reason() {
    let (world, door) = with_door();
    let _one = door.reserve().unwrap();
    world.set("max_connections", 1_i64);
    assert_eq!(door.reserve().unwrap_err(), RejectReason::PoolLimit);
    door.update_limits(at_most(1));
    assert_eq!(door.reserve().unwrap_err(), RejectReason::ListenerLimit);
    world.registry.update_limits(at_most(1));
    assert_eq!(
        world.pool.reserve().unwrap_err(),
        RejectReason::ProcessLimit
    );
    assert!(!world.pool.can_accept());
}

#[test]
fn with_several_pools_a_newcomer_is_refused_only_when_all_are_full() {
    let (world, door) = with_door();
    let other = pool(&world.registry, "test/other");
    door.leads_to(&[world.pool.clone(), other.clone()]);
    world.set("max_connections", 1_i64);
    let first = open(door.reserve().unwrap(), "10.0.0.1").unwrap();
    assert_eq!(
        (first.handle().phase(), door.occupancy().detecting),
        (Phase::Detecting, 1)
    );
    first.handle().enter(&world.pool).unwrap();
    assert_eq!(
        (first.handle().phase(), door.occupancy().detecting),
        (Phase::Opening, 0)
    );

    let second = open(door.reserve().unwrap(), "10.0.0.1").unwrap();
    assert_eq!(
        second.handle().enter(&world.pool),
        Err(RejectReason::PoolLimit)
    );
    assert_eq!(world.pool.health().rejected_connections, 1);
    assert_eq!(
        door.occupancy().detecting,
        1,
        "it is still counted, as detecting"
    );
    other
        .update_config(&patch("max_connections", 1_i64))
        .unwrap();
    second.handle().enter(&other).unwrap();
    assert_eq!(door.reserve().unwrap_err(), RejectReason::PoolLimit);
    assert_eq!(door.occupancy().active, 2);
}

#[test]
fn the_policy_is_that_of_the_first_pool_and_changes_live() {
    let (world, door) = with_door();
    assert_eq!(
        door.when_full(),
        (WhenFull::Reclaim, Duration::from_secs(5))
    );
    world.set("when_full", "wait");
    world.set("queue_timeout", "250ms");
    assert_eq!(
        door.when_full(),
        (WhenFull::Wait, Duration::from_millis(250))
    );
    world.set("when_full", "refuse");
    assert_eq!(door.when_full().0, WhenFull::Refuse);
}

#[test]
fn silent_ones_leave_first_then_idle_ones_of_who_has_most_then_the_longest_idle() {
    let (mut world, door) = with_door();
    let busy = world.open("10.0.0.9").unwrap();
    let request = busy.handle().begin_request(&world.pool);
    let lonely = idle(&world, "10.0.0.2");
    world.pass(SECOND);
    let greedy = [
        idle(&world, "10.0.0.1"),
        idle(&world, "10.0.0.1"),
        idle(&world, "10.0.0.1"),
    ];
    let silent = world.open("10.0.0.3").unwrap();
    world.pass(2 * SECOND);
    let all = || told([&silent].into_iter().chain(&greedy).chain([&lonely, &busy]));

    let full = RejectReason::PoolLimit;
    assert_eq!(door.reclaim(ip("10.0.0.7"), full, 1), 1);
    assert_eq!(
        all(),
        [true, false, false, false, false, false],
        "the silent one"
    );
    assert_eq!(door.reclaim(ip("10.0.0.7"), full, 2), 2);
    assert_eq!(
        told(&greedy).iter().filter(|told| **told).count(),
        2,
        "of the source with most"
    );
    assert_eq!(told([&lonely]), [false]);
    assert_eq!(
        door.reclaim(ip("10.0.0.7"), full, 9),
        2,
        "of equal sources the longest idle"
    );
    assert_eq!(
        all(),
        [true, true, true, true, true, false],
        "but never a busy one"
    );
    assert_eq!(
        door.reclaim(ip("10.0.0.7"), full, 9),
        0,
        "nobody is asked twice"
    );
    drop(request);
}

#[test]
fn a_newcomer_of_the_source_with_most_takes_from_its_own() {
    let (mut world, door) = with_door();
    let honest = idle(&world, "10.0.0.2");
    let flood = [idle(&world, "10.0.0.1"), idle(&world, "10.0.0.1")];
    world.pass(2 * SECOND);
    assert_eq!(door.reclaim(ip("10.0.0.1"), RejectReason::PoolLimit, 9), 2);
    assert_eq!(
        (told([&honest]), told(&flood)),
        (vec![false], vec![true, true])
    );
}

#[test]
fn one_byte_does_not_hide_a_connection_without_a_first_request() {
    let (mut world, door) = with_door();
    let slow = world.open("10.0.0.1").unwrap();
    slow.handle().received(1);
    world.pass(Duration::from_millis(1_900));
    assert_eq!(
        door.reclaim(ip("10.0.0.7"), RejectReason::PoolLimit, 1),
        0,
        "its head may come"
    );
    // A byte now and then, and it is silent all the same, since its accept.
    slow.handle().received(1);
    world.pass(Duration::from_millis(100));
    assert_eq!(door.reclaim(ip("10.0.0.7"), RejectReason::PoolLimit, 1), 1);
    assert_eq!(told([&slow]), [true]);
}

#[test]
fn a_client_that_connects_early_and_greets_is_idle_and_not_silent() {
    let (mut world, door) = with_door();
    let early = world.open("10.0.0.1").unwrap();
    early.handle().greeted();
    world.pass(3 * SECOND);
    let silent = world.open("10.0.0.2").unwrap();
    world.pass(SECOND);
    assert_eq!(door.reclaim(ip("10.0.0.7"), RejectReason::PoolLimit, 1), 1);
    assert_eq!((told([&early]), told([&silent])), (vec![false], vec![true]));
}

#[test]
fn reclaim_stays_within_the_scope_that_is_full() {
    let (mut world, door) = with_door();
    let elsewhere = pool(&world.registry, "far/line");
    let far = open(elsewhere.reserve().unwrap(), "10.0.0.1").unwrap();
    let near = idle(&world, "10.0.0.2");
    world.pass(2 * SECOND);
    for reason in [
        RejectReason::Rate,
        RejectReason::IpLimit,
        RejectReason::Draining,
    ] {
        assert_eq!(
            door.reclaim(ip("10.0.0.7"), reason, 9),
            0,
            "{reason} is no full scope"
        );
    }
    assert_eq!(
        door.reclaim(ip("10.0.0.7"), RejectReason::ListenerLimit, 9),
        1
    );
    assert_eq!((told([&near]), told([&far])), (vec![true], vec![false]));
    assert_eq!(
        door.reclaim(ip("10.0.0.7"), RejectReason::ProcessLimit, 9),
        1
    );
}

#[test]
fn over_a_lowered_limit_only_as_many_idle_ones_leave_as_are_too_many_and_only_where_that_is_the_policy()
 {
    for (policy, expected) in [("reclaim", 3), ("refuse", 0), ("wait", 0)] {
        let (mut world, door) = with_door();
        world.set("when_full", policy);
        let guards: Vec<_> = (0..5).map(|_| idle(&world, "10.0.0.1")).collect();
        world.pass(2 * SECOND);
        let asked = || told(&guards).iter().filter(|told| **told).count();
        world.set("max_connections", 2_i64);
        assert_eq!(asked(), expected, "{policy}");
        // Those who are leaving are not counted again, however often the limit is written.
        world.set("max_connections", 3_i64);
        world.set("max_connections", 2_i64);
        door.update_limits(at_most(2));
        world.registry.update_limits(at_most(2));
        assert_eq!(asked(), expected, "{policy}");
    }
}

#[test]
fn those_who_become_idle_later_leave_too_where_a_limit_was_lowered() {
    let (mut world, _) = with_door();
    let early: Vec<_> = (0..3).map(|_| idle(&world, "10.0.0.1")).collect();
    let late = world.open("10.0.0.1").unwrap();
    let request = late.handle().begin_request(&world.pool);
    world.set("max_connections", 1_i64);
    assert_eq!(told(&early), [false; 3]);
    world.pass(SECOND);
    assert_eq!(
        told(&early),
        [true; 3],
        "each has been idle for long enough"
    );
    assert_eq!(told([&late]), [false], "in a request");
    drop(early);
    drop(request);
    world.pass(SECOND);
    assert_eq!(told([&late]), [false], "it fits in");
}

#[test]
fn a_source_is_an_ipv4_address_or_a_64_and_holds_at_most_its_share() {
    let world = World::new();
    world.set("max_connections_per_ip", 1_i64);
    let _v4 = world.open("10.0.0.1").unwrap();
    let v6 = world.open("2001:db8::1").unwrap();
    assert_eq!(
        world.open("::ffff:10.0.0.1").unwrap_err(),
        RejectReason::IpLimit
    );
    assert_eq!(
        world.open("2001:db8::ffff:1").unwrap_err(),
        RejectReason::IpLimit
    );
    assert_eq!(
        world.pool.occupancy().reserved,
        0,
        "a refused slot goes back"
    );
    let _other = world.open("2001:db8:0:1::1").unwrap();
    let _another = world.open("10.0.0.2").unwrap();
    assert_eq!(world.registry.sources(), 4);
    drop(v6);
    assert!(world.open("2001:db8::2").is_ok());
}

#[test]
fn a_share_that_is_switched_on_counts_who_is_there_and_whoever_is_about_to_move_there() {
    let world = World::new();
    let target = pool(&world.registry, "test/target");
    let share = |pool: &Pool, share: Value| {
        let patch = patch("max_connections_per_ip", share);
        pool.update_config(&patch).unwrap();
    };
    let (one, two) = ("10.0.0.1", "10.0.0.2");
    let [a, b] = [one, one].map(|peer| world.open(peer).unwrap());
    let elsewhere = world.open(two).unwrap();
    a.handle().enter(&target).unwrap();
    let moving = elsewhere.handle().reserve_move(&target).unwrap();
    for _ in 0..2 {
        share(&target, Value::from(1_i64));
        let refused = |peer| world.open(peer).unwrap().handle().enter(&target);
        assert_eq!(refused(one), Err(RejectReason::IpLimit), "one is there");
        assert_eq!(refused(two), Err(RejectReason::IpLimit), "one is coming");
        assert_eq!(refused("10.0.0.3"), Ok(()));
        share(&target, Value::Off);
    }
    share(&world.pool, Value::from(1_i64));
    assert_eq!(world.open(one).unwrap_err(), RejectReason::IpLimit);
    moving.commit();
    assert!(world.open(two).is_ok(), "who has moved is gone");
    drop(b);
    assert!(world.open(one).is_ok());
    a.handle()
        .announce(format!("{two}:1").parse().unwrap())
        .unwrap();
    share(&target, Value::from(2_i64));
    let third = world.open(two).unwrap();
    assert_eq!(
        third.handle().enter(&target),
        Err(RejectReason::IpLimit),
        "the announced one counts for its own source"
    );
}

#[test]
fn an_exempt_range_has_no_share_and_no_rate() {
    let world = World::new();
    let mut limits = ScopeLimits::default();
    limits.max_connections_per_ip = Count::new(1);
    limits.accept_rate = PerSecond::new(1);
    limits.exempt = vec![
        "10.0.0.0/8".parse().unwrap(),
        "2001:db8::/32".parse().unwrap(),
    ];
    world.registry.update_limits(limits);
    let exempt = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"];
    let _many: Vec<_> = exempt
        .repeat(5)
        .iter()
        .map(|peer| world.open(peer).unwrap())
        .collect();
    let _one = world.open("192.0.2.7").unwrap();
    assert_eq!(world.open("192.0.2.8").unwrap_err(), RejectReason::Rate);
}

#[test]
fn a_rate_lets_a_seconds_worth_in_at_once_and_then_so_many_a_second() {
    let (mut world, door) = with_door();
    world.set("accept_rate", "5/s");
    let burst: Vec<_> = (0..5).map(|_| world.open("10.0.0.1").unwrap()).collect();
    assert_eq!(door.check_source(ip("10.0.0.1")), Err(RejectReason::Rate));
    assert_eq!(world.open("10.0.0.1").unwrap_err(), RejectReason::Rate);
    drop(burst);
    assert_eq!(
        world.open("10.0.0.2").unwrap_err(),
        RejectReason::Rate,
        "an end gives none back"
    );
    world.pass(Duration::from_millis(200));
    assert!(world.open("10.0.0.1").is_ok());
    assert_eq!(world.open("10.0.0.1").unwrap_err(), RejectReason::Rate);
    world.set("accept_rate", Value::Off);
    assert!(world.open("10.0.0.1").is_ok());
}

#[test]
fn moves_that_begin_together_do_not_pass_a_share_or_a_rate() {
    let world = World::new();
    let target = pool(&world.registry, "test/target");
    target
        .update_config(&patch("max_connections_per_ip", 1_i64))
        .unwrap();
    let [a, b] = [
        world.open("10.0.0.1").unwrap(),
        world.open("10.0.0.1").unwrap(),
    ];
    let first = a.handle().reserve_move(&target).unwrap();
    assert_eq!(
        b.handle().reserve_move(&target).unwrap_err(),
        RejectReason::IpLimit
    );
    drop(first);
    let second = b.handle().reserve_move(&target).unwrap();
    second.commit();
    assert_eq!((world.pool.active(), target.active()), (1, 1));

    target
        .update_config(&patch("max_connections_per_ip", Value::Off))
        .unwrap();
    target.update_config(&patch("accept_rate", 1_i64)).unwrap();
    a.handle().enter(&target).unwrap();
    let c = world.open("10.0.0.3").unwrap();
    assert_eq!(c.handle().enter(&target), Err(RejectReason::Rate));
}

#[test]
fn a_berth_takes_a_place_and_a_share_and_is_no_connection() {
    let world = World::new();
    let target = pool(&world.registry, "test/target");
    target
        .update_config(&patch("max_connections", 2_i64))
        .unwrap();
    let [a, b] = ["10.0.0.1", "10.0.0.2"].map(|peer| world.open(peer).unwrap());
    let berths = [&a, &a].map(|guard| guard.handle().take_berth(&target).unwrap());
    let occupancy = target.occupancy();
    assert_eq!((occupancy.active, occupancy.berths), (0, 2));
    assert!(!target.can_accept() && world.pool.active() == 2);
    assert_eq!(
        b.handle().take_berth(&target).unwrap_err(),
        RejectReason::PoolLimit
    );
    assert_eq!(b.handle().enter(&target), Err(RejectReason::PoolLimit));
    assert_eq!(target.health().rejected_connections, 2);
    assert!((target.health().utilization_ratio - 1.0).abs() < 1e-9);

    target
        .update_config(&patch("max_connections_per_ip", 2_i64))
        .unwrap();
    target
        .update_config(&patch("max_connections", Value::Off))
        .unwrap();
    // Those that were taken before are counted too.
    assert_eq!(
        a.handle().take_berth(&target).unwrap_err(),
        RejectReason::IpLimit
    );
    drop(berths);
    assert!(a.handle().take_berth(&target).is_ok());
    assert_eq!(target.occupancy().berths, 0);
}

#[test]
fn behind_a_proxy_the_announced_source_is_charged_once() {
    let world = World::new();
    world.set("max_connections_per_ip", 1_i64);
    let behind_proxy = || {
        let slot = world.pool.reserve().unwrap();
        slot.open(endpoints("10.0.0.9"), Charge::Announced, ())
            .unwrap()
    };
    let [a, b] = [behind_proxy(), behind_proxy()];
    assert_eq!(
        world.registry.sources(),
        0,
        "the proxy itself is charged with nothing"
    );
    let client = |host: &str| format!("{host}:99").parse().unwrap();
    a.handle().announce(client("203.0.113.1")).unwrap();
    assert_eq!(
        b.handle().announce(client("203.0.113.1")),
        Err(RejectReason::IpLimit)
    );
    assert_eq!(
        b.handle().peer(),
        client("203.0.113.1"),
        "who it was is known all the same"
    );
    a.handle().announce(client("203.0.113.2")).unwrap();
    assert_eq!(world.registry.sources(), 1, "announced twice, charged once");
    b.handle().announce(client("203.0.113.1")).unwrap();
    let info = a.handle().info();
    assert_eq!(
        (info.peer.0, info.proxy.is_some()),
        (client("203.0.113.2"), true)
    );
    let late = a.handle();
    drop((a, b));
    late.announce(client("203.0.113.3")).unwrap();
    assert_eq!(
        world.registry.sources(),
        0,
        "one that has ended is charged with nothing"
    );
}
