//! Every future of the crate may be dropped at any of its await points: nothing is held, nothing is
//! lost. And whoever waits is woken.

use std::any::Any;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use wharf_pool::config::Value;
use wharf_pool::{CloseReason, Command, Control, Slot};

use crate::world::{World, at_most, listener, open, pool};

/// Polls once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn full_world() -> (World, Slot) {
    let world = World::new();
    world.set("max_connections", 1_i64);
    let taken = world.pool.reserve().unwrap();
    (world, taken)
}

#[test]
fn a_cancelled_reserve_holds_nothing() {
    let (world, taken) = full_world();
    {
        // Never polled; then dropped at its await point, for the first and for the second time.
        drop(world.pool.reserved());
        let mut waiting = pin!(world.pool.reserved());
        assert!(poll(waiting.as_mut()).is_pending());
        world.set("max_age", "1h");
        assert!(poll(waiting.as_mut()).is_pending());
    }
    drop(taken);
    assert_eq!(world.pool.occupancy().reserved, 0);
    {
        // Dropped with its slot in its result.
        let mut waiting = pin!(world.pool.reserved());
        assert!(poll(waiting.as_mut()).is_ready());
    }
    assert_eq!(world.pool.occupancy().reserved, 0);
}

#[test]
fn a_cancelled_reserve_at_a_listener_holds_nothing() {
    let (world, taken) = full_world();
    let door = world.registry.listener(&listener("test")).unwrap();
    door.leads_to(std::slice::from_ref(&world.pool));
    {
        let mut waiting = pin!(door.reserved());
        assert!(poll(waiting.as_mut()).is_pending());
        drop(taken);
        // Woken and dropped before it could take the slot.
    }
    assert_eq!(
        (door.occupancy().reserved, world.pool.occupancy().reserved),
        (0, 0)
    );
    assert!(door.reserve().is_ok());
}

#[test]
fn a_waiter_that_is_woken_and_dropped_leaves_the_slot_to_the_next() {
    let (world, taken) = full_world();
    let mut second = pin!(world.pool.reserved());
    {
        let mut first = pin!(world.pool.reserved());
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        drop(taken);
    }
    assert!(poll(second).is_ready());
}

#[test]
fn whatever_makes_room_wakes_who_waits() {
    /// Makes room, and gives what is to be kept until the end.
    type MakesRoom = fn(&World, Slot) -> Option<Box<dyn Any>>;
    let ways: [(&str, MakesRoom); 7] = [
        ("a slot dropped unused", |_, slot| {
            drop(slot);
            None
        }),
        ("a connection that ends", |_, slot| {
            drop(open(slot, "10.0.0.1").unwrap());
            None
        }),
        ("a raised limit of the pool", |world, slot| {
            world.set("max_connections", 2_i64);
            Some(Box::new(slot))
        }),
        ("no limit of the pool", |world, slot| {
            world.set("max_connections", Value::Off);
            Some(Box::new(slot))
        }),
        ("a move away", |world, slot| {
            let guard = open(slot, "10.0.0.1").unwrap();
            guard
                .handle()
                .enter(&pool(&world.registry, "test/other"))
                .unwrap();
            Some(Box::new(guard))
        }),
        ("a raised limit of the listener", |world, slot| {
            world.set("max_connections", Value::Off);
            let door = world.registry.listener(&listener("test")).unwrap();
            door.update_limits(at_most(1));
            door.update_limits(at_most(5));
            Some(Box::new(slot))
        }),
        ("a raised limit of the process", |world, slot| {
            world.set("max_connections", Value::Off);
            world.registry.update_limits(at_most(1));
            world.registry.update_limits(at_most(5));
            Some(Box::new(slot))
        }),
    ];
    for (way, make_room) in ways {
        let (world, taken) = full_world();
        let woken = Woken::default();
        let mut waiting = pin!(world.pool.reserved());
        let waker = Waker::from(std::sync::Arc::clone(&woken.0));
        assert!(
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        let _kept = make_room(&world, taken);
        assert!(
            woken.0.0.load(std::sync::atomic::Ordering::SeqCst),
            "{way} wakes nobody"
        );
        assert!(poll(waiting).is_ready(), "{way} makes no room");
    }
}

#[derive(Default)]
struct Woken(std::sync::Arc<Flag>);

#[derive(Default)]
struct Flag(std::sync::atomic::AtomicBool);

impl std::task::Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn among_many_who_wait_none_is_forgotten() {
    let world = World::new();
    world.set("max_connections", 2_i64);
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let pool = world.pool.clone();
        tasks.spawn(async move {
            for round in 0..200 {
                let slot = pool.reserved().await;
                if round % 3 == 0 {
                    tokio::task::yield_now().await;
                }
                drop(slot);
            }
        });
    }
    timeout(Duration::from_secs(20), tasks.join_all())
        .await
        .expect("a waiter was forgotten");
    assert_eq!(world.pool.occupancy().reserved, 0);
}

#[test]
fn a_command_outlives_the_wait_for_it() {
    let control = Control::default();
    {
        let mut waiting = pin!(control.told());
        assert!(poll(waiting.as_mut()).is_pending());
        control.finish(CloseReason::MaxAge);
    }
    for _ in 0..2 {
        let told = poll(pin!(control.told()));
        assert_eq!(told, Poll::Ready(Command::Finish(CloseReason::MaxAge)));
    }
}

#[test]
fn an_event_outlives_the_wait_for_it() {
    let world = World::new();
    let mut events = world.registry.events().subscribe();
    {
        let mut waiting = pin!(events.next());
        assert!(poll(waiting.as_mut()).is_pending());
        world.registry.tell_drain("begun");
        // Woken and dropped before it could take the event.
    }
    let next = poll(pin!(events.next()));
    assert!(matches!(next, Poll::Ready(Some(event)) if event.kind.as_str() == "drain"));
    assert!(events.try_next().is_none());
}
