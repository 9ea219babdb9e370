use std::time::Duration;

use proptest::prelude::*;

use super::HealthStatus::{Degraded, Healthy, Overloaded, Unavailable};
use super::{
    Cause, HealthMachine, HealthStatus, HealthThresholds, HealthTransition, HealthWindow,
    UnavailableCause,
};
use crate::Timestamp;

/// A machine and the second that comes next.
struct Run {
    machine: HealthMachine,
    second: u64,
}

impl Run {
    fn new() -> Self {
        let machine = HealthMachine::new(HealthThresholds::default(), Timestamp::ZERO);
        Self { machine, second: 0 }
    }

    fn window(&mut self, window: &HealthWindow) -> Option<HealthTransition> {
        self.second += 1;
        self.machine.on_window(
            window,
            Timestamp::after_start(Duration::from_secs(self.second)),
        )
    }

    fn percent(&mut self, percent: u64) -> Option<HealthTransition> {
        self.window(&HealthWindow::new().connections(percent, 100))
    }

    /// The second, counted from now, in which the status changes.
    fn percent_until_change(&mut self, percent: u64) -> (u64, HealthTransition) {
        let before = self.second;
        loop {
            if let Some(transition) = self.percent(percent) {
                return (self.second - before, transition);
            }
            assert!(self.second - before < 1_000, "the status never changes");
        }
    }
}

#[test]
fn the_third_hit_among_five_windows_degrades() {
    let mut run = Run::new();
    for percent in [80, 10, 85, 10] {
        assert_eq!(run.percent(percent), None);
    }
    let transition = run.percent(90).expect("the third hit");
    assert_eq!((transition.from, transition.to), (Healthy, Degraded));
    assert_eq!(transition.cause, Some(Cause::Connections));
    assert!((transition.utilization - 0.9).abs() < 1e-9);
}

#[test]
fn hits_too_far_apart_or_just_too_low_never_degrade() {
    let mut run = Run::new();
    for second in 0..100 {
        assert_eq!(run.percent(if second % 3 == 0 { 94 } else { 79 }), None);
    }
}

#[test]
fn overload_skips_degraded_on_the_way_down_and_passes_it_on_the_way_up() {
    let mut run = Run::new();
    assert_eq!(run.percent(95), None);
    assert_eq!(run.percent(95).expect("the second hit").to, Overloaded);
    let (seconds, up) = run.percent_until_change(0);
    assert_eq!((seconds, up.from, up.to), (10, Overloaded, Degraded));
    let (seconds, up) = run.percent_until_change(0);
    assert_eq!((seconds, up.from, up.to), (10, Degraded, Healthy));
    assert_eq!(up.cause, Some(Cause::Connections), "what is over");
    assert_eq!((run.machine.status(), run.machine.cause()), (Healthy, None));
}

#[test]
fn one_window_over_the_exit_starts_the_run_of_good_windows_again() {
    let mut run = Run::new();
    run.percent_until_change(80);
    for _ in 0..9 {
        assert_eq!(run.percent(64), None);
    }
    assert_eq!(run.percent(65), None);
    assert_eq!(run.percent_until_change(64).0, 10);
}

#[test]
fn pressure_overloads_at_once_and_keeps_it_so_until_under_the_exit() {
    let mut run = Run::new();
    let pressed = run
        .window(&HealthWindow::new().pressure(0.95))
        .expect("at once");
    assert_eq!(
        (pressed.to, pressed.cause),
        (Overloaded, Some(Cause::Pressure))
    );
    for _ in 0..30 {
        assert_eq!(run.window(&HealthWindow::new().pressure(0.8)), None);
    }
    assert_eq!(run.machine.cause(), Some(Cause::Pressure));
    assert_eq!(run.percent_until_change(0).0, 10);
}

#[test]
fn unavailable_ends_after_two_good_windows_in_degraded() {
    let mut run = Run::new();
    let failed = HealthWindow::new().unavailable(UnavailableCause::ListenerFailed);
    let down = run.window(&failed).expect("at once");
    assert_eq!(down.to, Unavailable);
    assert_eq!(
        down.cause,
        Some(Cause::Unavailable(UnavailableCause::ListenerFailed))
    );
    assert_eq!(run.percent(0), None);
    assert_eq!(run.window(&failed), None);
    let (seconds, up) = run.percent_until_change(0);
    assert_eq!((seconds, up.to), (2, Degraded));
    assert_eq!(
        run.percent_until_change(0).0,
        10,
        "never straight to healthy"
    );
}

#[test]
fn unavailable_ends_in_overloaded_if_that_is_what_the_load_says() {
    let mut run = Run::new();
    run.window(&HealthWindow::new().unavailable(UnavailableCause::Starting));
    let (seconds, up) = run.percent_until_change(100);
    assert_eq!((seconds, up.to), (2, Overloaded));
}

#[test]
fn nine_errors_in_ten_for_three_windows_are_unavailable() {
    let mut run = Run::new();
    let failing = HealthWindow::new().errors(18, 20);
    assert_eq!(run.window(&failing), None);
    assert_eq!(
        run.window(&failing).expect("half as many would do").to,
        Overloaded
    );
    let down = run.window(&failing).expect("the third in a row");
    assert_eq!((down.to, down.cause), (Unavailable, Some(Cause::Errors)));
}

#[test]
fn a_ratio_of_fewer_than_twenty_requests_is_not_judged() {
    let mut run = Run::new();
    for _ in 0..100 {
        let few = HealthWindow::new().errors(19, 19).rejections(19, 19);
        assert_eq!(
            run.window(&few.latency(Duration::MAX, Duration::from_secs(1), 19)),
            None
        );
    }
}

#[test]
fn quiet_windows_hold_the_last_ratio_for_a_while_and_then_forget_it() {
    let mut run = Run::new();
    for _ in 0..3 {
        run.window(&HealthWindow::new().errors(20, 20));
    }
    assert_eq!(run.machine.status(), Unavailable);
    let quiet = HealthWindow::new().errors(0, 0);
    for _ in 0..10 {
        assert_eq!(run.window(&quiet), None);
        assert!(run.machine.utilization() > 1.9);
    }
    assert_eq!(run.window(&quiet), None);
    assert_eq!(
        run.window(&quiet)
            .expect("two windows without a verdict")
            .to,
        Degraded
    );
    assert!(run.machine.utilization() < 0.1);
}

#[test]
fn a_verdict_now_and_then_keeps_the_memory_of_the_earlier_ones() {
    let mut run = Run::new();
    for _ in 0..2 {
        run.window(&HealthWindow::new().errors(20, 20));
        for _ in 0..8 {
            run.window(&HealthWindow::new().errors(1, 1));
            assert!(run.machine.utilization() > 1.9, "held");
        }
    }
    let third = run
        .window(&HealthWindow::new().errors(20, 20))
        .expect("the third in a row");
    assert_eq!(third.to, Unavailable);
}

#[test]
fn the_cause_follows_the_highest_term_while_it_holds_the_status() {
    let mut run = Run::new();
    run.percent_until_change(85);
    let lag = HealthWindow::new()
        .connections(85, 100)
        .scheduler_lag(Duration::from_millis(18));
    assert_eq!(run.window(&lag), None);
    assert_eq!(run.machine.cause(), Some(Cause::SchedulerLag));
    run.percent(10);
    assert_eq!(
        run.machine.cause(),
        Some(Cause::SchedulerLag),
        "what held it last"
    );
}

#[test]
fn each_term_has_its_weight() {
    let utilization = |window: HealthWindow| {
        let mut run = Run::new();
        run.window(&window);
        (run.machine.utilization() * 1_000.0).round() / 1_000.0
    };
    let millis = Duration::from_millis;
    let new = HealthWindow::new;
    let cases = [
        (new(), 0.0),
        (new().connections(1, 2), 0.5),
        (new().connections(1, 0), 0.0),
        (new().requests(1, 2), 0.45),
        (new().rejections(10, 40), 0.5),
        (new().errors(10, 40), 0.5),
        (new().latency(millis(50), millis(100), 20), 0.4),
        (new().latency(millis(50), millis(0), 20), 0.0),
        (new().scheduler_lag(millis(5)), 0.25),
        (new().pressure(0.9), 0.0),
        (new().connections(1, 4).requests(1, 2).errors(0, 40), 0.45),
    ];
    for (window, expected) in cases {
        assert!(
            (utilization(window.clone()) - expected).abs() < 1e-9,
            "{window:?}"
        );
    }
}

#[test]
fn flapping_makes_the_stay_four_times_as_long() {
    let mut run = Run::new();
    let mut stays = Vec::new();
    for _ in 0..4 {
        run.percent_until_change(94);
        stays.push(run.percent_until_change(0).0);
    }
    assert_eq!(stays[0], 10);
    assert_eq!(stays[3], 40, "{stays:?}");
}

fn any_window() -> impl Strategy<Value = HealthWindow> {
    let unavailable = prop::option::weighted(0.03, Just(UnavailableCause::Draining));
    let errors = prop_oneof![
        6 => (0..5_u64).prop_map(|failed| (failed, 100)),
        1 => (90..101_u64).prop_map(|failed| (failed, 100)),
        2 => Just((5, 10)),
    ];
    (0..120_u64, 0..100_u32, errors, unavailable).prop_map(|(percent, pressure, errors, down)| {
        let window = HealthWindow::new()
            .connections(percent, 100)
            .pressure(f64::from(pressure) / 100.0)
            .errors(errors.0, errors.1);
        down.into_iter().fold(window, HealthWindow::unavailable)
    })
}

/// Runs of equal windows, so that good ones last long enough to matter.
fn any_windows() -> impl Strategy<Value = Vec<HealthWindow>> {
    prop::collection::vec((any_window(), 1..25_usize), 1..30).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(window, times)| vec![window; times])
            .collect()
    })
}

proptest! {
    #[test]
    fn no_status_is_left_for_a_better_one_too_early_or_too_far(windows in any_windows()) {
        let mut run = Run::new();
        let (mut status, mut since) = (Healthy, 0);
        for window in &windows {
            let Some(HealthTransition { from, to, .. }) = run.window(window) else {
                prop_assert_eq!(run.machine.status(), status);
                continue;
            };
            prop_assert_eq!(from, status);
            prop_assert_ne!(from, to);
            prop_assert_eq!(run.machine.status(), to);
            if to < from {
                let earliest: u64 = if from == Unavailable { 2 } else { 10 };
                prop_assert!(run.second - since >= earliest);
                prop_assert!(from == Degraded || to != Healthy);
            }
            prop_assert_eq!(run.machine.cause().is_none(), to == Healthy);
            (status, since) = (to, run.second);
        }
    }

    #[test]
    fn what_a_window_proves_is_never_worse_than_the_status(windows in any_windows()) {
        let mut run = Run::new();
        for (index, window) in windows.iter().enumerate() {
            run.window(window);
            let proven = proven(&windows[..=index]);
            prop_assert!(run.machine.status() >= proven, "{:?}", run.machine);
        }
    }
}

/// The entry conditions written down naively. Held ratios are left out: they are a second opinion.
fn proven(windows: &[HealthWindow]) -> HealthStatus {
    let hits = |of: usize, hit: &dyn Fn(&HealthWindow) -> bool| {
        windows
            .iter()
            .rev()
            .take(of)
            .filter(|window| hit(window))
            .count()
    };
    let connections = |window: &HealthWindow, over: f64| {
        window.terms().any(|(cause, term)| {
            cause == Cause::Connections && term.is_some_and(|term| term.utilization >= over)
        })
    };
    let failing = |window: &HealthWindow| window.error_ratio(20).is_some_and(|ratio| ratio >= 0.9);
    if hits(1, &|window| window.unavailable_now().is_some()) == 1 || hits(3, &failing) == 3 {
        Unavailable
    } else if hits(1, &|window| window.pressure_now() >= 0.95) == 1
        || hits(3, &|window| connections(window, 0.95)) >= 2
    {
        Overloaded
    } else if hits(5, &|window| connections(window, 0.8)) >= 3 {
        Degraded
    } else {
        Healthy
    }
}
