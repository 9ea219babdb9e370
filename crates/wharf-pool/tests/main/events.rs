//! Whoever listens hears each thing once, slows nobody down, and cannot break anything.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf_pool::events::{CallbackGuard, Event, EventKind, QUEUE};
use wharf_pool::{CloseReason, RejectReason};

use crate::world::{World, pool};

/// The events so far, as words.
fn heard(world: &World) -> (Arc<Mutex<Vec<&'static str>>>, CallbackGuard) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    let on = world
        .registry
        .events()
        .on(move |e| into.lock().unwrap().push(e.kind.as_str()));
    (heard, on)
}

#[test]
fn a_connection_is_added_once_and_removed_once_with_one_cause() {
    let world = World::new();
    let (heard, _on) = heard(&world);
    drop(world.open("10.0.0.1").unwrap());
    let timed_out = world.open("10.0.0.1").unwrap();
    assert!(timed_out.handle().conclude(CloseReason::Idle));
    assert!(
        !timed_out.handle().conclude(CloseReason::PeerReset),
        "the first reason holds"
    );
    drop(timed_out);
    let told = world.open("10.0.0.1").unwrap();
    told.handle().begin_close(CloseReason::SlowReader);
    drop(told);
    let broken = world.open("10.0.0.1").unwrap();
    broken.handle().conclude(CloseReason::BadRequest);
    drop(broken);
    let (added, removed) = ("connection_added", "connection_removed");
    let (timeout, error) = ("connection_timeout", "connection_error");
    #[rustfmt::skip]
    let expected = [
        added, removed,
        added, timeout, removed,
        added, timeout, removed,
        added, error, removed,
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[test]
fn a_connection_that_panics_away_is_removed_all_the_same() {
    let world = World::new();
    let (heard, _on) = heard(&world);
    let guard = world.open("10.0.0.1").unwrap();
    let panicked = std::thread::spawn(move || {
        let _guard = guard;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(
        *heard.lock().unwrap(),
        ["connection_added", "connection_removed"]
    );
    assert_eq!((world.pool.active(), world.registry.records()), (0, 0));
}

#[test]
fn a_move_is_told_in_the_pool_that_was_left() {
    let world = World::new();
    let other = pool(&world.registry, "test/other");
    let mut events = world.registry.events().subscribe();
    let guard = world.open("10.0.0.1").unwrap();
    guard.handle().enter(&other).unwrap();
    guard.handle().enter(&other).unwrap();
    drop(guard);
    let told = std::iter::from_fn(|| events.try_next());
    let told: Vec<_> = told
        .map(|e| (e.kind.as_str(), e.pool.unwrap().to_string()))
        .collect();
    let expected = [
        ("connection_added", "test/line"),
        ("connection_moved", "test/line"),
        ("connection_removed", "test/other"),
    ];
    assert_eq!(told, expected.map(|(kind, pool)| (kind, pool.to_owned())));
    let (left, entered) = (world.pool.metrics(), other.metrics());
    assert_eq!(
        (left.accepted, left.moved, entered.accepted, entered.moved),
        (1, 1, 1, 0)
    );
}

#[test]
fn a_slow_subscription_loses_the_oldest_and_the_loss_is_counted() {
    let world = World::new();
    let mut slow = world.registry.events().subscribe();
    let never_read = world.registry.events().subscribe();
    for _ in 0..QUEUE + 10 {
        world.registry.tell_drain("begun");
    }
    assert_eq!(
        world.registry.events().dropped(),
        0,
        "nobody has noticed yet"
    );
    assert_eq!(std::iter::from_fn(|| slow.try_next()).count(), QUEUE);
    assert_eq!(world.registry.events().dropped(), 10);
    drop(never_read);
    assert_eq!(world.registry.events().dropped(), 20, "lost unread");
}

#[test]
fn callbacks_come_and_go_while_events_are_told() {
    let world = World::new();
    let events = world.registry.events().clone();
    let (inner_calls, outer_calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let inner: Arc<Mutex<Option<CallbackGuard>>> = Arc::default();
    let outer = {
        let (inner, inner_calls) = (Arc::clone(&inner), Arc::clone(&inner_calls));
        let (events, outer_calls) = (events.clone(), Arc::clone(&outer_calls));
        // Puts another callback on at one event and takes it off at the next.
        events.clone().on(move |_| {
            outer_calls.fetch_add(1, Ordering::Relaxed);
            let calls = Arc::clone(&inner_calls);
            let mut there = inner.lock().unwrap();
            *there = match there.take() {
                Some(_off) => None,
                None => Some(events.on(move |_| {
                    calls.fetch_add(1, Ordering::Relaxed);
                })),
            };
        })
    };
    for _ in 0..4 {
        world.registry.tell_drain("begun");
    }
    assert_eq!(outer_calls.load(Ordering::Relaxed), 4);
    // One that is taken off while an event is told may still hear that one, and no other.
    assert_eq!(inner_calls.load(Ordering::Relaxed), 2);
    drop(outer);
    world.registry.tell_drain("begun");
    assert_eq!(outer_calls.load(Ordering::Relaxed), 4);
}

#[test]
fn a_callback_may_own_the_guard_of_another() {
    let world = World::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let owned = world.registry.events().on(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let outer = world.registry.events().on(move |_| {
        let _ = &owned;
    });
    world.registry.tell_drain("begun");
    drop(outer);
    world.registry.tell_drain("begun");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_callback_that_panics_ends_nothing() {
    let world = World::new();
    let _bad = world.registry.events().on(|_| panic!("on purpose"));
    let (heard, _on) = heard(&world);
    let mut events = world.registry.events().subscribe();
    let guard = world.open("10.0.0.1").unwrap();
    drop(guard);
    assert_eq!(heard.lock().unwrap().len(), 2);
    assert_eq!(std::iter::from_fn(|| events.try_next()).count(), 2);
    assert_eq!(
        (world.pool.active(), world.pool.occupancy().reserved),
        (0, 0)
    );
}

#[test]
fn a_callback_may_look_at_the_pool_it_hears_of() {
    let world = World::new();
    let (pool, seen) = (world.pool.clone(), Arc::new(Mutex::new(Vec::new())));
    let into = Arc::clone(&seen);
    let _on = world.registry.events().on(move |event: &Event| {
        let known = match event.kind {
            EventKind::ConnectionAdded { id, .. } => pool.connections()[0].info().id == id,
            _ => pool.connections().is_empty(),
        };
        into.lock()
            .unwrap()
            .push((pool.active(), pool.metrics().accepted, known));
    });
    drop(world.open("10.0.0.1").unwrap());
    assert_eq!(*seen.lock().unwrap(), [(1, 1, true), (0, 1, true)]);
}

#[test]
fn rejections_are_told_at_once_and_then_once_a_second_and_none_is_left_out() {
    let mut world = World::new();
    let mut events = world.registry.events().subscribe();
    let mut told = move || {
        let mut told = Vec::new();
        while let Some(event) = events.try_next() {
            if let EventKind::PoolLimitReached { reason, rejected } = event.kind {
                told.push((reason, rejected));
            }
        }
        told
    };
    world.set("max_connections", 1_i64);
    let _one = world.open("10.0.0.1").unwrap();
    for _ in 0..100 {
        assert!(
            world
                .pool
                .add(crate::world::endpoints("10.0.0.1"), ())
                .is_err()
        );
    }
    world.pool.reject(RejectReason::Draining);
    assert_eq!(
        told(),
        [(RejectReason::PoolLimit, 1), (RejectReason::Draining, 1)]
    );
    // Nobody is turned away any more, and the other 99 are told all the same.
    world.pass(Duration::from_secs(3));
    assert_eq!(told(), [(RejectReason::PoolLimit, 99)]);
    let rejected = world.pool.metrics().rejected_by_reason;
    assert_eq!(rejected.iter().map(|(_, n)| n).sum::<u64>(), 101);
}
