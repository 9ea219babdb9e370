use std::time::Duration;

use proptest::prelude::*;

use super::Rung::{Calm, Cutting, Easing, Parting, Refusing, Squeezing};
use super::*;

/// Looks at `used` every quarter of a second; the rungs that were in force.
fn rungs(used: impl IntoIterator<Item = f64>) -> Vec<Rung> {
    let mut law = PressureLaw::default();
    let looks = used.into_iter().enumerate().map(|(n, used)| {
        let now = Timestamp::after_start(Duration::from_millis(250 * n as u64));
        law.look(MemoryLoad { used, stalled: 0.0 }, now)
    });
    looks.collect()
}

#[test]
fn each_rung_is_stepped_on_at_once_at_its_share() {
    let used = [0.0, 0.849, 0.85, 0.89, 0.92, 0.95, 0.98, 7.0];
    let expected = [
        Calm, Calm, Easing, Squeezing, Parting, Refusing, Cutting, Cutting,
    ];
    assert_eq!(rungs(used), expected);
    assert_eq!(
        rungs([0.2, 0.99])[1],
        Cutting,
        "none has to be stepped on first"
    );
}

#[test]
fn a_rung_is_left_a_second_after_the_pressure_fell_below_where_it_began() {
    let mut used = vec![0.96];
    used.extend([0.91; 20]);
    assert_eq!(rungs(used.clone()), vec![Refusing; 21], "not yet below");
    used.extend([0.89; 4]);
    assert_eq!(
        rungs(used.clone())[24],
        Refusing,
        "three quarters of a second"
    );
    used.push(0.89);
    assert_eq!(rungs(used)[25], Parting);
}

#[test]
fn a_moment_above_the_exit_begins_the_second_anew() {
    let used = [0.96, 0.5, 0.5, 0.5, 0.5, 0.93, 0.5, 0.5, 0.5, 0.5, 0.5];
    let mut expected = vec![Refusing; 10];
    expected.push(Calm);
    assert_eq!(rungs(used), expected);
}

#[test]
fn who_waits_for_memory_is_short_of_it_though_figures_say_otherwise() {
    let look = |used, stalled| {
        let load = MemoryLoad { used, stalled };
        PressureLaw::default().look(load, Timestamp::ZERO)
    };
    assert_eq!(look(0.81, 0.09), Calm);
    assert_eq!(look(0.81, 0.1), Parting);
    assert_eq!(look(0.79, 0.9), Calm, "that is somebody else's");
    assert_eq!(look(0.99, 0.9), Cutting);
    assert_eq!(look(f64::NAN, 0.9), Calm);
}

#[test]
fn idle_connections_are_left_sooner_with_every_rung_and_never_at_once() {
    let timeout = Duration::from_secs(82);
    let idle = Rung::ALL.map(|rung| rung.idle(timeout).as_secs());
    assert_eq!(idle, [82, 62, 42, 22, 2, 2]);
    for rung in Rung::ALL {
        let second = Duration::from_secs(1);
        assert_eq!(rung.idle(second), second, "never later than otherwise");
    }
}

#[test]
fn the_less_is_left_the_sooner_it_is_looked_again() {
    let pause = |left: u64| PressureLaw::pause(left).as_millis();
    assert_eq!(pause(u64::MAX), 250);
    assert_eq!(pause(256 << 20), 67);
    assert_eq!(pause(64 << 20), 16);
    assert_eq!(pause(0), 10);
}

#[test]
fn a_hundred_connections_can_have_little_more_than_half_of_the_memory_filled() {
    for memory in [256_u64 << 20, 2 << 30, 64 << 30] {
        let filled: u64 = (1..=100).map(|n| share_of(memory, n).min(10 << 20)).sum();
        assert!(filled <= memory * 3 / 5, "{filled} of {memory}");
    }
    assert_eq!(share_of(16 << 30, 0), 2 << 30);
    assert_eq!(share_of(0, 1), 512 << 10);
}

#[test]
fn rungs_are_in_order_and_have_words_of_their_own() {
    assert!(Rung::ALL.is_sorted());
    assert!(Rung::ALL.iter().map(|rung| rung.enter()).is_sorted());
    let mut words = Rung::ALL.map(Rung::as_str);
    words.sort_unstable();
    assert!(words.windows(2).all(|two| two[0] != two[1]));
}

proptest! {
    #[test]
    fn below_the_first_share_nothing_is_ever_done(used in prop::collection::vec(0.0..0.85, 1..200)) {
        prop_assert!(rungs(used).iter().all(|rung| *rung == Calm));
    }

    #[test]
    fn the_rung_is_never_lower_than_the_pressure_asks(
        used in prop::collection::vec(0.0..1.2, 1..200)
    ) {
        for (rung, used) in rungs(used.clone()).into_iter().zip(used) {
            prop_assert!(rung == Cutting || used < Rung::ALL[rung as usize + 1].enter());
        }
    }

    #[test]
    fn nothing_is_left_within_a_second_of_a_look_that_kept_it(
        used in prop::collection::vec(0.8..1.0, 1..200)
    ) {
        let rungs = rungs(used.clone());
        for (n, pair) in rungs.windows(2).enumerate() {
            if pair[1] < pair[0] {
                // Four looks before it, and the look itself: a second.
                let exit = pair[0].enter() - HYSTERESIS;
                prop_assert!(n >= 4);
                prop_assert!(used[n - 3..=n + 1].iter().all(|used| *used < exit));
            }
        }
    }

    #[test]
    fn with_room_for_long_enough_it_is_calm(
        used in prop::collection::vec(0.0..1.2, 0..50), rest in 0.0..0.8
    ) {
        let used = used.into_iter().chain([rest; 6]);
        prop_assert_eq!(rungs(used).last().copied(), Some(Calm));
    }
}
