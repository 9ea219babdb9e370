//! Guaranteed places: who has one gets in however full the process is, and nobody is over the limit.

use std::time::Duration;

use proptest::prelude::*;
use wharf_pool::config::{PoolPatch, Value};
use wharf_pool::{
    CloseReason, Command, ConnectionGuard, DryRunReason, Listener, Pool, Registry, RejectReason,
};

use crate::world::{World, at_most, ip, listener, open, patch, pool};

/// Two listeners: `test` leads to `line` only, `many` to two pools, with one behind them.
struct House {
    world: World,
    many: Listener,
    plain: Pool,
    call: Pool,
    session: Pool,
}

impl House {
    fn with_room_for(connections: u32) -> Self {
        let world = World::with(at_most(connections));
        let [plain, call, session] =
            ["many/plain", "many/call", "many/session"].map(|name| pool(&world.registry, name));
        let door = world.registry.listener(&listener("test")).unwrap();
        door.leads_to(std::slice::from_ref(&world.pool));
        let many = world.registry.listener(&listener("many")).unwrap();
        many.leads_to(&[plain.clone(), call.clone()]);
        Self {
            world,
            many,
            plain,
            call,
            session,
        }
    }

    fn come(&self) -> Result<ConnectionGuard, RejectReason> {
        self.many.reserve().and_then(|slot| open(slot, "10.0.0.1"))
    }

    fn kept(&self) -> u32 {
        self.world.registry.occupancy().kept
    }
}

fn guarantee(pool: &Pool, places: i64) {
    pool.update_config(&patch("guaranteed_connections", places))
        .unwrap();
}

fn told(guard: &ConnectionGuard) -> Option<CloseReason> {
    guard.handle().command().map(Command::reason)
}

#[test]
fn others_are_turned_away_before_a_guaranteed_place_and_its_pool_gets_it() {
    let house = House::with_room_for(3);
    guarantee(&house.plain, 1);
    assert_eq!(house.kept(), 1);
    let others = [(); 2].map(|()| house.world.open("10.0.0.1").unwrap());
    assert_eq!(
        house.world.open("10.0.0.1").unwrap_err(),
        RejectReason::ProcessLimit
    );
    assert!((house.world.pool.health().utilization_ratio - 1.0).abs() < 1e-9);
    assert!(house.plain.health().utilization_ratio < 0.7);
    let own = house.plain.reserve().unwrap();
    assert_eq!(house.kept(), 0);
    assert_eq!(
        house.plain.reserve().unwrap_err(),
        RejectReason::ProcessLimit
    );
    drop(own);
    assert_eq!(house.kept(), 1, "the place stays free for the next of them");
    drop(others);
    assert!(house.world.open("10.0.0.1").is_ok());
}

#[test]
fn who_may_still_become_one_of_the_pool_comes_in_and_leaves_if_it_does_not() {
    let house = House::with_room_for(2);
    guarantee(&house.session, 1);
    let other = house.world.open("10.0.0.1").unwrap();
    let (plain, session) = (house.come().unwrap(), &house.session);
    assert_eq!(house.come().unwrap_err(), RejectReason::ProcessLimit);
    plain.handle().enter(&house.plain).unwrap();
    plain.handle().settle();
    assert_eq!(told(&plain), Some(CloseReason::Reclaimed));
    drop(plain);
    let upgraded = house.come().unwrap();
    upgraded.handle().enter(&house.plain).unwrap();
    upgraded.handle().reserve_move(session).unwrap().commit();
    upgraded.handle().settle();
    assert_eq!((told(&upgraded), house.kept()), (None, 0));
    assert_eq!(session.active(), 1);
    drop((upgraded, other));
    let roomy = house.come().unwrap();
    roomy.handle().enter(&house.plain).unwrap();
    roomy.handle().settle();
    assert_eq!(told(&roomy), None, "there is room for it besides");
}

#[test]
fn a_session_that_is_not_begun_gives_the_kept_place_back() {
    let house = House::with_room_for(1);
    guarantee(&house.session, 1);
    let guard = house.come().unwrap();
    guard.handle().enter(&house.plain).unwrap();
    drop(guard.handle().reserve_move(&house.session).unwrap());
    assert_eq!(told(&guard), Some(CloseReason::Reclaimed));
}

#[test]
fn for_a_newcomer_those_leave_whose_place_is_kept_for_nobody() {
    let mut house = House::with_room_for(3);
    guarantee(&house.plain, 1);
    let idle = |guard: &ConnectionGuard, pool: &Pool| {
        guard.handle().received(1);
        drop(guard.handle().begin_request(pool));
    };
    let protected = open(house.plain.reserve().unwrap(), "10.0.0.1").unwrap();
    idle(&protected, &house.plain);
    house.world.pass(Duration::from_secs(1));
    let others = [(); 2].map(|()| house.world.open("10.0.0.1").unwrap());
    for other in &others {
        idle(other, &house.world.pool);
    }
    house.world.pass(Duration::from_secs(2));
    let door = house.world.registry.listener(&listener("test")).unwrap();
    assert_eq!(
        door.reclaim(ip("10.0.0.7"), RejectReason::ProcessLimit, 9),
        2
    );
    assert_eq!(told(&protected), None);
}

#[test]
fn a_guarantee_that_is_raised_has_idle_ones_of_others_leave() {
    let mut house = House::with_room_for(2);
    let others = [(); 2].map(|()| house.world.open("10.0.0.1").unwrap());
    for other in &others {
        other.handle().received(1);
        drop(other.handle().begin_request(&house.world.pool));
    }
    guarantee(&house.plain, 1);
    house.world.pass(Duration::from_secs(1));
    let asked = others.iter().filter(|it| told(it).is_some()).count();
    assert_eq!(asked, 1);
}

#[test]
fn a_pool_that_is_forgotten_keeps_no_place_from_others() {
    let house = House::with_room_for(2);
    guarantee(&house.plain, 1);
    guarantee(&house.session, 1);
    let _stays = open(house.plain.reserve().unwrap(), "10.0.0.1").unwrap();
    house.world.registry.forget_pool(house.session.name());
    assert_eq!(house.kept(), 0);
    assert!(house.world.open("10.0.0.1").is_ok());
    house.world.registry.forget_listener(&listener("many"));
    assert_eq!(house.kept(), 0);
}

#[test]
fn no_more_is_guaranteed_than_there_is() {
    let house = House::with_room_for(10);
    guarantee(&house.plain, 6);
    let too_much = house
        .call
        .update_config(&patch("guaranteed_connections", 5_i64))
        .unwrap_err();
    assert!(
        too_much[0].to_string().contains("at most 4"),
        "{too_much:?}"
    );
    house.many.update_limits(at_most(8));
    assert!(
        house
            .call
            .update_config(&patch("guaranteed_connections", 3_i64))
            .is_err()
    );
    guarantee(&house.call, 2);
    let mut both = PoolPatch::default();
    both.set("max_connections", &Value::Integer(1)).unwrap();
    both.set("guaranteed_connections", &Value::Integer(2))
        .unwrap();
    let bad = house.session.update_config(&both).unwrap_err();
    assert!(
        bad[0].to_string().contains("its max_connections"),
        "{bad:?}"
    );
}

#[test]
fn on_a_dry_run_nobody_is_turned_away_and_who_would_have_been_is_counted() {
    let house = House::with_room_for(2);
    let mut change = patch("guaranteed_connections", 1_i64);
    let names = Value::List(vec![Value::text("guaranteed_connections")]);
    change.set("dry_run", &names).unwrap();
    house.plain.update_config(&change).unwrap();
    let counted = |pool: &Pool| {
        let all = pool.metrics().dry_run_by_reason;
        all.into_iter()
            .find(|(reason, _)| *reason == DryRunReason::ProcessLimit)
            .map_or(0, |(_, n)| n)
    };
    let _first = house.world.open("10.0.0.1").unwrap();
    assert_eq!((house.kept(), counted(&house.world.pool)), (0, 0));
    let second = house.world.open("10.0.0.1").unwrap();
    assert_eq!(counted(&house.world.pool), 1);
    drop(second);
    let _own = open(house.plain.reserve().unwrap(), "10.0.0.1").unwrap();
    assert_eq!(counted(&house.plain), 0);
}

/// What can happen. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    /// A newcomer in a pool of its own.
    Come(usize),
    /// One of which is not known what it speaks.
    Knock,
    Enter(usize, usize),
    Settle(usize),
    /// To the pool that nobody enters first, at once: a place that is free when a move is booked may be
    /// another's when it is done.
    Move {
        at: usize,
        begins: bool,
    },
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..64_usize;
    prop_oneof![
        (0..2_usize).prop_map(Step::Come),
        Just(Step::Knock),
        Just(Step::Knock),
        (n.clone(), 0..2_usize).prop_map(|(a, b)| Step::Enter(a, b)),
        n.clone().prop_map(Step::Settle),
        (n.clone(), any::<bool>()).prop_map(|(at, begins)| Step::Move { at, begins }),
        n.prop_map(Step::Leave),
    ]
}

/// A connection, and the pool that it is in.
struct Guest {
    guard: ConnectionGuard,
    pool: Option<usize>,
}

fn process(registry: &Registry) -> (u32, u32) {
    let it = registry.occupancy();
    (it.active + it.reserved, it.kept)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn nobody_is_over_the_limit_and_no_place_that_is_kept_is_taken(
        limit in 1..12_u32,
        guaranteed in prop::collection::vec(0..5_u32, 4),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let house = House::with_room_for(limit);
        let pools = [&house.world.pool, &house.plain, &house.call, &house.session];
        let mut left = limit;
        let mut promised = [0; 4];
        for (n, pool) in pools.iter().enumerate() {
            promised[n] = guaranteed[n].min(left);
            left -= promised[n];
            if promised[n] > 0 {
                guarantee(pool, i64::from(promised[n]));
            }
        }
        let mut guests: Vec<Guest> = Vec::new();
        for step in steps {
            let picked = |n: usize| n % guests.len().max(1);
            match step {
                Step::Come(n) => {
                    let pool = pools[n];
                    let (held, _) = process(&house.world.registry);
                    let undecided = guests.iter().filter(|it| it.pool != Some(0));
                    let is_short = pool.active() < promised[n];
                    // At that listener who has knocked may be on its place.
                    let sure = is_short && (n == 0 || undecided.count() == 0);
                    match open_in(pool) {
                        Ok(guard) => guests.push(Guest { guard, pool: Some(n) }),
                        Err(_) => prop_assert!(!sure, "{held} of {limit}"),
                    }
                }
                Step::Knock => {
                    if let Ok(guard) = house.come() {
                        guests.push(Guest { guard, pool: None });
                    }
                }
                Step::Enter(at, to) => {
                    let at = picked(at);
                    if let Some(guest) = guests.get_mut(at).filter(|it| it.pool.is_none()) {
                        let entered = guest.guard.handle().enter(pools[to + 1]);
                        prop_assert!(entered.is_ok(), "who has a place keeps it");
                        guest.pool = Some(to + 1);
                    }
                }
                Step::Settle(at) => {
                    let at = picked(at);
                    let may = |it: &&Guest| it.pool.is_some();
                    if let Some(guest) = guests.get(at).filter(may) {
                        guest.guard.handle().settle();
                    }
                    guests.retain(|it| told(&it.guard).is_none());
                }
                Step::Move { at, begins } => {
                    let at = picked(at);
                    let may = |it: &&mut Guest| matches!(it.pool, Some(1 | 2));
                    if let Some(guest) = guests.get_mut(at).filter(may)
                        && let Ok(booked) = guest.guard.handle().reserve_move(pools[3])
                        && begins
                    {
                        booked.commit();
                        guest.pool = Some(3);
                    }
                    guests.retain(|it| told(&it.guard).is_none());
                }
                Step::Leave(at) => {
                    if !guests.is_empty() {
                        guests.remove(picked(at));
                    }
                }
            }
            let (held, kept) = process(&house.world.registry);
            prop_assert!(held <= limit, "{held} > {limit}");
            prop_assert!(held + kept <= limit, "{held} + {kept} > {limit}");
        }
        drop(guests);
        prop_assert_eq!(process(&house.world.registry).1, promised.iter().sum::<u32>());
    }
}

fn open_in(pool: &Pool) -> Result<ConnectionGuard, RejectReason> {
    pool.reserve().and_then(|slot| open(slot, "10.0.0.1"))
}

#[test]
fn a_guarantee_without_a_limit_of_the_process_keeps_nothing_from_anybody() {
    let world = World::new();
    guarantee(&world.pool, 1_000);
    assert!(open_in(&pool(&world.registry, "test/other")).is_ok());
}
