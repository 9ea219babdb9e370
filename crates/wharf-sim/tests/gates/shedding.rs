//! Whose requests are turned away: tasks of several calls.

use wharf_sim::studies::dagor::{Shedding, by_chance, optimal, run};

#[test]
fn shedding_by_chance_gives_the_fixed_points_of_the_formula() {
    for (calls, published) in (1..=4).zip([0.5, 0.134, 0.040, 0.0128]) {
        let formula = by_chance(calls);
        assert!((formula - published).abs() < 0.000_6, "{calls}: {formula}");
        let measured = run(Shedding::Naive, calls, 200);
        assert!((measured - formula).abs() <= 0.02, "{calls}: {measured}");
    }
}

#[test]
fn a_line_by_levels_gets_nearly_what_can_be_got() {
    for (calls, part) in (1..=4).zip([0.95, 0.9, 0.85, 0.83]) {
        let measured = run(Shedding::Line, calls, 200);
        assert!(
            measured >= part * optimal(calls),
            "{calls}: {measured} of {}",
            optimal(calls)
        );
    }
}
