//! Connections that are reserved, opened, moved and dropped on two threads, in every order that these can meet in: at each lock and
//! atomic of `sync.rs`, with up to three changes of threads that nobody had to make. Run by
//! `RUSTFLAGS="--cfg wharf_loom" cargo test -p wharf-pool --test interleavings`.

#![cfg(wharf_loom)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::future::block_on;
use loom::model::Builder;
use loom::sync::atomic::AtomicBool;
use loom::thread;
use wharf_pool::config::{Count, PoolConfig};
use wharf_pool::{
    Charge, CloseReason, ConnectionGuard, Endpoints, Phase, Pool, Registry, ScopeLimits, Slot,
};

/// A registry with two pools of one listener, with `most` connections in the process.
#[derive(Clone)]
struct World {
    registry: Registry,
    first: Pool,
    second: Pool,
}

impl World {
    fn with(most: u32) -> Self {
        let registry = Registry::new(ScopeLimits::from(Count::new(most).expect("some")));
        let pool = |name: &str| {
            let name = name.parse().expect("a name");
            let config = PoolConfig::default();
            registry.get_or_create(&name, config).expect("it is new")
        };
        let (first, second) = (pool("test/first"), pool("test/second"));
        Self {
            registry,
            first,
            second,
        }
    }

    /// Nothing is counted anywhere, and so many find room.
    fn is_empty_with_room_for(&self, most: u32) {
        let all = [
            self.registry.occupancy(),
            self.first.occupancy(),
            self.second.occupancy(),
        ];
        for held in all {
            assert_eq!((held.active, held.reserved, held.berths), (0, 0, 0));
        }
        assert!(self.registry.connections().is_empty());
        let slots: Vec<_> = (0..most).map(|_| self.first.reserve()).collect();
        assert!(slots.iter().all(Result::is_ok) && self.first.reserve().is_err());
    }
}

fn open(slot: Slot) -> ConnectionGuard {
    let peer: SocketAddr = "192.0.2.7:4711".parse().expect("an address");
    let local = "192.0.2.1:80".parse().expect("an address");
    let opened = slot.open(Endpoints::new(peer, local), Charge::Peer, ());
    opened.expect("nothing limits it any more")
}

/// Tries every order.
fn in_every_order(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 10_000;
    builder.check(model);
}

#[test]
fn of_two_who_want_the_last_place_one_has_it() {
    in_every_order(|| {
        let world = World::with(1);
        let held = Arc::new(AtomicUsize::new(0));
        let come = {
            let (world, held) = (world.clone(), Arc::clone(&held));
            move || {
                let Ok(slot) = world.first.reserve() else {
                    return;
                };
                assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0, "two hold one place");
                let guard = open(slot);
                held.fetch_sub(1, Ordering::SeqCst);
                drop(guard);
            }
        };
        let other = thread::spawn(come.clone());
        come();
        other.join().expect("it ends");
        world.is_empty_with_room_for(1);
    });
}

#[test]
fn whoever_waits_hears_of_the_place_that_comes_free() {
    in_every_order(|| {
        let world = World::with(1);
        let guard = open(world.first.reserve().expect("room"));
        let waiter = {
            let world = world.clone();
            thread::spawn(move || drop(open(block_on(world.first.reserved()))))
        };
        drop(guard);
        waiter.join().expect("it ends");
        world.is_empty_with_room_for(1);
    });
}

#[test]
fn whoever_waits_hears_of_a_slot_that_was_not_used() {
    in_every_order(|| {
        let world = World::with(1);
        let slot = world.second.reserve().expect("room");
        let waiter = {
            let world = world.clone();
            thread::spawn(move || drop(block_on(world.first.reserved())))
        };
        drop(slot);
        waiter.join().expect("it ends");
        world.is_empty_with_room_for(1);
    });
}

#[test]
fn whoever_waits_hears_of_a_limit_that_was_raised() {
    in_every_order(|| {
        let world = World::with(1);
        let guard = open(world.first.reserve().expect("room"));
        let waiter = {
            let world = world.clone();
            thread::spawn(move || drop(block_on(world.first.reserved())))
        };
        let two = Count::new(2).expect("some");
        world.registry.update_limits(ScopeLimits::from(two));
        waiter.join().expect("it ends");
        drop(guard);
        world.is_empty_with_room_for(2);
    });
}

#[test]
fn under_a_limit_that_is_lowered_nobody_enters_above_it() {
    in_every_order(|| {
        let world = World::with(2);
        let guard = open(world.first.reserve().expect("room"));
        let newcomer = {
            let world = world.clone();
            thread::spawn(move || world.first.reserve().ok().map(open))
        };
        let one = Count::new(1).expect("some");
        world.registry.update_limits(ScopeLimits::from(one));
        assert!(world.first.reserve().is_err(), "it is in force at once");
        drop((guard, newcomer.join().expect("it ends")));
        world.is_empty_with_room_for(1);
    });
}

#[test]
fn a_connection_that_ends_while_it_moves_is_counted_nowhere() {
    in_every_order(|| {
        let world = World::with(1);
        let guard = open(world.first.reserve().expect("room"));
        let place = guard.handle().reserve_move(&world.second).expect("room");
        let mover = thread::spawn(move || place.commit());
        drop(guard);
        mover.join().expect("it ends");
        world.is_empty_with_room_for(1);
    });
}

#[test]
fn requests_that_cross_leave_a_connection_idle_and_closing_stays_closing() {
    in_every_order(|| {
        let world = World::with(1);
        let guard = open(world.first.reserve().expect("room"));
        let handle = guard.handle();
        handle.greeted();
        let request = {
            let (handle, pool) = (handle.clone(), world.first.clone());
            thread::spawn(move || drop(handle.begin_request(&pool)))
        };
        drop(handle.begin_request(&world.first));
        request.join().expect("it ends");
        assert_eq!(handle.phase(), Phase::Idle);
        let request = {
            let (handle, pool) = (handle.clone(), world.first.clone());
            thread::spawn(move || drop(handle.begin_request(&pool)))
        };
        handle.closing();
        request.join().expect("it ends");
        assert_eq!(handle.phase(), Phase::Closing);
        drop(guard);
        world.is_empty_with_room_for(1);
    });
}

/// A drain first says that newcomers are to leave by themselves, and then tells those that are here.
#[test]
fn nobody_comes_between_those_a_drain_tells_and_those_that_see_it_themselves() {
    in_every_order(|| {
        let world = World::with(1);
        let leave = Arc::new(AtomicBool::new(false));
        let newcomer = {
            let (world, leave) = (world.clone(), Arc::clone(&leave));
            thread::spawn(move || {
                let guard = open(world.first.reserve().expect("room"));
                let sees = leave.load(Ordering::Acquire);
                (guard, sees)
            })
        };
        leave.store(true, Ordering::Release);
        world.registry.close_all(CloseReason::Drained);
        let (guard, sees) = newcomer.join().expect("it ends");
        assert!(
            sees || guard.handle().command().is_some(),
            "nobody tells it"
        );
        drop(guard);
        world.is_empty_with_room_for(1);
    });
}
