//! How many requests at a time: the adaptive limit against what is known to be right, beside limits that must fail.

use wharf_sim::limit::{
    Distribution, Fixed, Gated, Gradient2, Limiter, Phase, PhaseReport, Service, simulate,
};
use wharf_sim::studies::limiter::{MEAN, overload, run, steps, waiting};

/// The oracle: as many at a time as there are workers keep them all busy. So nine tenths of what they can do
/// is done, and nineteen of twenty answers take at most a quarter longer than without any queue, where exponential
/// service has its 95th percentile at three times its mean.
fn right(phase: &Phase, report: &PhaseReport) -> bool {
    let Service::Workers { count, .. } = phase.service else {
        return report.rejected <= 0.01;
    };
    let capacity = f64::from(count) / phase.mean;
    report.throughput >= 0.9 * capacity && report.millis(0.95) <= 1.25 * 3.0 * MEAN * 1e3
}

fn all_right(phases: &[Phase], limiter: &mut dyn Limiter) -> bool {
    let reports = run(phases, limiter);
    phases
        .iter()
        .zip(&reports)
        .all(|(phase, report)| right(phase, report))
}

#[test]
fn workers_that_come_and_go_are_followed_and_no_fixed_limit_does_it() {
    assert!(all_right(&steps(), &mut Gated::new(20)));
    for (control, limit) in [("frozen", 20), ("always most", 4_096), ("always least", 2)] {
        assert!(!all_right(&steps(), &mut Fixed(limit)), "{control} passes");
    }
    assert!(
        !all_right(&steps(), &mut Gradient2::new(1_000)),
        "Gradient2 passes"
    );
}

#[test]
fn over_changing_work_more_is_answered_in_time_than_with_any_fixed_limit() {
    let good = |limiter: &mut dyn Limiter| -> f64 {
        run(&steps(), limiter)
            .iter()
            .map(|report| report.goodput)
            .sum()
    };
    let adaptive = good(&mut Gated::new(20));
    for limit in [2, 4, 8, 16, 20, 24, 32, 48, 64, 100, 200] {
        let fixed = good(&mut Fixed(limit));
        assert!(adaptive > fixed, "{limit}: {fixed}, adaptive {adaptive}");
    }
}

#[test]
fn wherever_it_begins_it_arrives_within_thirty_seconds() {
    for initial in [2, 20, 200, 1_000] {
        let phases = [overload(2.0, 0.0, 30.0), overload(2.0, 0.0, 60.0)];
        let reports = run(&phases, &mut Gated::new(initial));
        let report = &reports[1];
        assert!(
            (16.0..26.0).contains(&report.limit),
            "{initial}: {}",
            report.limit
        );
        assert!(right(&phases[1], report), "from {initial}");
    }
}

#[test]
fn an_hour_of_overload_does_not_move_it() {
    let hour = [overload(2.0, 0.0, 60.0), overload(2.0, 0.0, 3_540.0)];
    let reports = run(&hour, &mut Gated::new(20));
    assert!(
        (16.0..26.0).contains(&reports[1].limit),
        "{}",
        reports[1].limit
    );
    assert!(reports[1].goodput >= 1_500.0, "{}", reports[1].goodput);
    let drifts = run(&hour, &mut Gradient2::new(1_000));
    assert!(drifts[1].goodput < 100.0, "{}", drifts[1].goodput);
}

#[test]
fn contention_and_other_service_times_are_borne() {
    let contended = run(&[overload(2.0, 0.02, 180.0)], &mut Gated::new(20));
    assert!(contended[0].goodput >= 1_440.0, "{}", contended[0].goodput);
    assert!(run(&[overload(2.0, 0.02, 180.0)], &mut Fixed(200))[0].goodput < 100.0);
    for distribution in [
        Distribution::NearlyConstant,
        Distribution::LogNormal,
        Distribution::Bimodal,
    ] {
        for seed in 1..=3 {
            let phases = [overload(2.0, 0.01, 300.0)];
            let report = &simulate(&phases, distribution, &mut Gated::new(20), seed)[0];
            assert!(
                report.goodput >= 1_350.0,
                "{distribution:?}: {}",
                report.goodput
            );
            assert!(report.limit < 30.0, "{distribution:?}: {}", report.limit);
        }
    }
}

#[test]
fn what_only_waits_is_let_through_after_a_step_and_after_it_is_over() {
    let phases = waiting();
    let reports = run(&phases, &mut Gated::new(20));
    for (phase, report) in phases.iter().zip(&reports).skip(2) {
        assert!(right(phase, report), "{}", report.rejected);
    }
    for limiter in [
        &mut Fixed(20) as &mut dyn Limiter,
        &mut Fixed(2),
        &mut Gradient2::new(1_000),
    ] {
        assert!(
            !all_right(&phases[2..], limiter),
            "a limit that cannot pass does"
        );
    }
}

#[test]
fn a_lull_keeps_the_limit_and_the_burst_behind_it_is_borne() {
    let phases = [2.0, 0.3, 0.02, 3.0].map(|times| overload(times, 0.0, 60.0));
    let reports = run(&phases, &mut Gated::new(20));
    let before = reports[0].limit;
    for report in &reports[1..3] {
        assert!(report.rejected < 0.001, "{}", report.rejected);
        assert!(
            (0.6 * before..1.6 * before).contains(&report.limit),
            "{before} becomes {}",
            report.limit
        );
    }
    assert!(right(&phases[3], &reports[3]), "{}", reports[3].throughput);
    let first = [overload(0.3, 0.0, 60.0), overload(3.0, 0.0, 2.0)];
    let report = &run(&first, &mut Gated::new(20))[1];
    assert!(
        report.goodput >= 0.85 * 1_600.0,
        "in the first seconds: {}",
        report.goodput
    );
}
