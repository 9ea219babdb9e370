//! The wheel fires once, never early, at most two ticks late, and forgets what is removed.

use proptest::prelude::*;

use super::*;
use std::sync::atomic::AtomicBool;

#[derive(Debug, Default)]
struct Probe {
    timer: Timer,
    fired: AtomicU32,
}

impl Timed for Probe {
    fn timer(&self) -> &Timer {
        &self.timer
    }

    fn fire(&self) {
        self.fired.fetch_add(1, Ordering::Relaxed);
    }
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

/// The time at which the probe fired, turning the wheel tick by tick from `from` to `until`.
fn fired_at(wheel: &Wheel<Probe>, probe: &Probe, from: u64, until: u64) -> Option<u64> {
    let before = probe.fired.load(Ordering::Relaxed);
    (from / 100..=until / 100)
        .map(|tick| tick * 100)
        .find(|now| {
            assert!(!wheel.turn(at(*now), usize::MAX));
            probe.fired.load(Ordering::Relaxed) > before
        })
}

fn armed(wheel: &Wheel<Probe>) -> usize {
    wheel.slots.iter().map(|slot| lock(slot).len()).sum()
}

proptest! {
    #[test]
    fn a_deadline_fires_never_early_and_at_most_two_ticks_late(ms in 0u64..300_000) {
        let (wheel, probe) = (Wheel::new(), Arc::new(Probe::default()));
        wheel.set(&probe, at(ms));
        let fired = fired_at(&wheel, &probe, 100, ms + 1_000).expect("it fires");
        prop_assert!(fired >= ms + 100 && fired <= ms + 300, "deadline {ms}, fired {fired}");
        prop_assert_eq!(fired_at(&wheel, &probe, fired + 100, fired + 120_000), None);
    }

    #[test]
    fn the_last_deadline_that_was_set_is_the_one_that_fires(
        sets in prop::collection::vec(0u64..200_000, 1..20)
    ) {
        let (wheel, probe) = (Wheel::new(), Arc::new(Probe::default()));
        for ms in &sets {
            wheel.set(&probe, at(*ms));
        }
        let last = *sets.last().unwrap();
        let fired = fired_at(&wheel, &probe, 100, last + 1_000).expect("it fires");
        prop_assert!(fired >= last + 100 && fired <= last + 300);
        prop_assert_eq!(armed(&wheel), 0);
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind_and_does_not_come_back(
        steps in prop::collection::vec((0usize..8, 0u64..150_000, 0usize..4), 1..200)
    ) {
        let wheel = Wheel::new();
        let probes: Vec<_> = (0..8).map(|_| Arc::new(Probe::default())).collect();
        let (mut standing, mut removed) = ([false; 8], [false; 8]);
        for (which, ms, what) in steps {
            if what == 0 {
                wheel.remove(&probes[which]);
                (standing[which], removed[which]) = (false, true);
            } else {
                wheel.set(&probes[which], at(ms));
                standing[which] = !removed[which];
            }
            prop_assert_eq!(armed(&wheel), standing.iter().filter(|s| **s).count());
        }
        for probe in &probes {
            wheel.remove(probe);
            prop_assert_eq!(Arc::strong_count(probe), 1);
        }
    }
}

#[test]
fn what_is_due_fires_in_parts_once_each() {
    let wheel = Wheel::new();
    let probes: Vec<_> = (0..10).map(|_| Arc::new(Probe::default())).collect();
    for probe in &probes {
        wheel.set(probe, at(1_000));
    }
    // Three at a time, and one that is removed before its turn.
    assert!(wheel.turn(at(1_200), 3));
    wheel.remove(&probes[9]);
    let parts = std::iter::from_fn(|| wheel.turn(at(1_250), 3).then_some(()));
    assert_eq!(parts.count(), 2);
    let fired = probes.iter().map(|it| it.fired.load(Ordering::Relaxed));
    assert_eq!(fired.collect::<Vec<_>>(), [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    assert_eq!(armed(&wheel), 0);
}

#[test]
fn a_deadline_that_is_set_while_its_tick_is_turned_is_not_lost() {
    let (wheel, stop) = (Wheel::new(), AtomicBool::new(false));
    let fires = || {
        let probe = Arc::new(Probe::default());
        // In the past: it is armed for the very next tick, which may begin at that moment.
        wheel.set(&probe, Timestamp::ZERO);
        let due = (wheel.turned.load(Ordering::Relaxed) + 1).max(2);
        loop {
            let turned = wheel.turned.load(Ordering::Relaxed);
            if probe.fired.load(Ordering::Relaxed) > 0 {
                return true;
            } else if turned > due {
                return false;
            }
            std::thread::yield_now();
        }
    };
    let lost = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut now = 0;
            while !stop.load(Ordering::Relaxed) {
                now += 100;
                assert!(!wheel.turn(at(now), usize::MAX));
            }
        });
        let lost = (0..2_000).filter(|_| !fires()).count();
        stop.store(true, Ordering::Relaxed);
        lost
    });
    assert_eq!(lost, 0);
}

#[test]
fn a_hundred_thousand_deadlines_each_fire_once_and_in_time() {
    let wheel = Wheel::new();
    // Spread over two minutes, beyond the horizon too; every tenth is removed, every seventh moved.
    let due = |i: usize| (i as u64 * 7_919) % 120_000;
    let probes: Vec<_> = (0..100_000).map(|_| Arc::new(Probe::default())).collect();
    for (i, probe) in probes.iter().enumerate() {
        wheel.set(probe, at(due(i)));
        if i % 7 == 0 {
            wheel.set(probe, at(due(i + 1)));
        }
        if i % 10 == 0 {
            wheel.remove(probe);
        }
    }
    for now in (100..=121_000).step_by(100) {
        assert!(!wheel.turn(at(now), usize::MAX));
        // A sample is looked at on every tick: nothing early, nothing three ticks late.
        for i in (1..100_000).step_by(997).filter(|i| i % 10 != 0) {
            let due = if i % 7 == 0 { due(i + 1) } else { due(i) };
            let fired = probes[i].fired.load(Ordering::Relaxed);
            assert!(
                fired == 0 || now >= due + 100,
                "{i}: due {due}, fired at {now}"
            );
            assert!(
                fired == 1 || now < due + 300,
                "{i}: due {due}, not fired at {now}"
            );
        }
    }
    for (i, probe) in probes.iter().enumerate() {
        assert_eq!(probe.fired.load(Ordering::Relaxed), u32::from(i % 10 != 0));
    }
    assert_eq!(armed(&wheel), 0);
}

#[test]
fn a_deadline_moved_later_wakes_nobody_until_it_is_due() {
    let (wheel, probe) = (Wheel::new(), Arc::new(Probe::default()));
    wheel.set(&probe, at(1_000));
    for step in 1..50 {
        assert!(!wheel.turn(at(step * 500), usize::MAX));
        wheel.set(&probe, at(step * 500 + 1_000));
    }
    assert_eq!(probe.fired.load(Ordering::Relaxed), 0);
}

#[test]
fn after_a_stop_everything_due_fires_once() {
    let wheel = Wheel::new();
    let probes: Vec<_> = (0..100).map(|_| Arc::new(Probe::default())).collect();
    for (i, probe) in probes.iter().enumerate() {
        wheel.set(probe, at(i as u64 * 3_000));
    }
    assert!(!wheel.turn(at(3_600_000), usize::MAX));
    assert!(!wheel.turn(at(3_600_100), usize::MAX));
    assert!(
        probes
            .iter()
            .all(|probe| probe.fired.load(Ordering::Relaxed) == 1)
    );
}
