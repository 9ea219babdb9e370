use std::time::Duration;

use proptest::prelude::*;

use super::Outcome::{Failure, Success, Throttled};
use super::{Admission, EjectionCause, Outcome, Outlier, OutlierSettings, Returned};
use crate::upstream::EjectionBudget;
use crate::{Random, Timestamp};

fn second(second: u64) -> Timestamp {
    Timestamp::after_start(Duration::from_secs(second))
}

/// One endpoint of three, with all that its judgement needs.
struct Endpoint {
    outlier: Outlier,
    budget: EjectionBudget,
    random: Random,
}

impl Endpoint {
    fn new() -> Self {
        let settings = OutlierSettings {
            jitter: 0.0,
            ..OutlierSettings::default()
        };
        Self {
            outlier: Outlier::new(settings, second(0)),
            budget: EjectionBudget::new(3),
            random: Random::new(1),
        }
    }

    fn record(&mut self, outcome: Outcome, now: Timestamp) -> Returned {
        self.outlier
            .record(outcome, &mut self.budget, &mut self.random, now)
    }

    /// Fails it until it is ejected and says for how many seconds.
    fn eject(&mut self, now: Timestamp) -> u64 {
        for _ in 0..1_000 {
            if let Returned::Ejected(ejection) = self.record(Failure, now) {
                return (ejection.until - now).as_secs();
            }
        }
        panic!("it is never ejected");
    }
}

#[test]
fn five_failures_in_a_row_eject_and_a_success_between_starts_again() {
    let mut endpoint = Endpoint::new();
    for outcome in [
        Failure, Failure, Failure, Failure, Success, Failure, Throttled,
    ] {
        assert_eq!(endpoint.record(outcome, second(0)), Returned::Unchanged);
    }
    for _ in 0..3 {
        assert_eq!(endpoint.record(Failure, second(0)), Returned::Unchanged);
    }
    let Returned::Ejected(ejection) = endpoint.record(Failure, second(0)) else {
        panic!("the fifth failure ejects");
    };
    assert_eq!(ejection.cause, EjectionCause::Consecutive);
    assert_eq!(ejection.until, second(30));
    assert_eq!(endpoint.outlier.admission(second(29)), Admission::Leave);
}

#[test]
fn a_ratio_needs_enough_requests_and_counts_refusals() {
    let mut endpoint = Endpoint::new();
    for n in 0..9 {
        assert_eq!(endpoint.record(Success, second(n / 3)), Returned::Unchanged);
        assert_eq!(
            endpoint.record(Throttled, second(n / 3)),
            Returned::Unchanged
        );
    }
    assert_eq!(endpoint.record(Throttled, second(3)), Returned::Unchanged);
    assert!(matches!(
        endpoint.record(Throttled, second(3)),
        Returned::Ejected(ejection) if ejection.cause == EjectionCause::Ratio
    ));
}

#[test]
fn what_was_on_the_way_when_it_was_ejected_decides_nothing() {
    let mut endpoint = Endpoint::new();
    endpoint.eject(second(0));
    assert_eq!(endpoint.record(Success, second(1)), Returned::Unchanged);
    assert_eq!(endpoint.outlier.admission(second(1)), Admission::Leave);
}

#[test]
fn one_probe_is_sent_and_its_answer_decides() {
    let mut endpoint = Endpoint::new();
    endpoint.eject(second(0));
    assert!(!endpoint.outlier.begin_probe(second(29)));
    assert_eq!(endpoint.outlier.admission(second(30)), Admission::Probe);
    assert!(endpoint.outlier.begin_probe(second(30)));
    assert!(!endpoint.outlier.begin_probe(second(30)), "only one");
    assert!(matches!(
        endpoint.record(Throttled, second(31)),
        Returned::Ejected(ejection)
            if ejection.cause == EjectionCause::Probe && ejection.until == second(91)
    ));
    assert!(endpoint.outlier.begin_probe(second(91)));
    assert_eq!(endpoint.record(Success, second(92)), Returned::Back);
    assert_eq!(endpoint.outlier.admission(second(92)), Admission::Serve);
    assert_eq!(endpoint.budget.ejected(), 0);
}

#[test]
fn a_probe_that_is_lost_or_called_off_is_followed_by_another() {
    let mut endpoint = Endpoint::new();
    endpoint.eject(second(0));
    assert!(endpoint.outlier.begin_probe(second(30)));
    assert_eq!(endpoint.outlier.admission(second(39)), Admission::Leave);
    assert!(endpoint.outlier.begin_probe(second(40)));
    endpoint.outlier.call_off_probe(second(41));
    assert_eq!(endpoint.outlier.admission(second(41)), Admission::Probe);
}

#[test]
fn a_probe_may_come_sooner_and_still_decides() {
    let mut endpoint = Endpoint::new();
    endpoint.outlier.hasten_probe(second(0));
    assert_eq!(endpoint.outlier.admission(second(0)), Admission::Serve);
    endpoint.eject(second(0));
    endpoint.outlier.hasten_probe(second(5));
    assert!(endpoint.outlier.begin_probe(second(5)));
    // One is under way: there is not another for it.
    endpoint.outlier.hasten_probe(second(6));
    assert_eq!(endpoint.outlier.admission(second(6)), Admission::Leave);
    assert!(matches!(
        endpoint.record(Failure, second(7)),
        Returned::Ejected(ejection) if ejection.until == second(67)
    ));
    // What is due already is not put off.
    endpoint.outlier.hasten_probe(second(80));
    assert_eq!(endpoint.outlier.admission(second(67)), Admission::Probe);
}

#[test]
fn ejections_grow_to_five_minutes_and_good_times_shorten_them() {
    let mut endpoint = Endpoint::new();
    let mut now = second(0);
    let mut lengths = Vec::new();
    for _ in 0..12 {
        let length = endpoint.eject(now);
        lengths.push(length);
        now = now.after(Duration::from_secs(length));
        assert!(endpoint.outlier.begin_probe(now));
        assert_eq!(endpoint.record(Success, now), Returned::Back);
    }
    assert_eq!(
        lengths,
        [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]
    );
    // Twelve times less ten is two, and this is the third.
    assert_eq!(endpoint.eject(now.after(Duration::from_secs(100))), 90);
}

#[test]
fn who_fails_without_a_place_in_the_budget_goes_on_serving_until_there_is_one() {
    let mut endpoint = Endpoint::new();
    let mut other = Outlier::new(OutlierSettings::default(), second(0));
    for _ in 0..5 {
        other.record(
            Failure,
            &mut endpoint.budget,
            &mut endpoint.random,
            second(0),
        );
    }
    for _ in 0..50 {
        assert_eq!(endpoint.record(Failure, second(0)), Returned::Unchanged);
    }
    other.reinstate(&mut endpoint.budget, second(1));
    other.reinstate(&mut endpoint.budget, second(1));
    assert!(matches!(
        endpoint.record(Failure, second(1)),
        Returned::Ejected(_)
    ));
    assert_eq!(endpoint.budget.ejected(), 1);
}

proptest! {
    #[test]
    fn the_budget_counts_exactly_who_is_out_and_is_never_overdrawn(
        endpoints in 1..12_usize,
        seed: u64,
        steps in prop::collection::vec((0..12_usize, 0..5_u8, 0..20_u64), 0..400),
    ) {
        let mut budget = EjectionBudget::new(u32::try_from(endpoints).unwrap());
        let mut random = Random::new(seed);
        let mut outliers = vec![Outlier::new(OutlierSettings::default(), second(0)); endpoints];
        let mut now = second(0);
        for (which, action, gap) in steps {
            now = now.after(Duration::from_secs(gap));
            let outlier = &mut outliers[which % endpoints];
            match action {
                0 => { outlier.begin_probe(now); }
                1 => { outlier.record(Success, &mut budget, &mut random, now); }
                2 => outlier.reinstate(&mut budget, now),
                _ => {
                    for _ in 0..5 {
                        outlier.record(Failure, &mut budget, &mut random, now);
                    }
                }
            }
            let out = outliers.iter().filter(|outlier| {
                !matches!(outlier.state, super::State::Serving { .. })
            });
            prop_assert_eq!(out.count(), budget.ejected() as usize);
            prop_assert!(budget.ejected() <= budget.most());
        }
    }
}
