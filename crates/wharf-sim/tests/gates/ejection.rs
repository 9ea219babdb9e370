//! Servers that fail at once must not draw traffic.

use wharf_sim::balance::{Failures, Law};
use wharf_sim::studies::black_hole::run;

fn failed(law: Law, failures: Failures, clients: usize) -> f64 {
    run(law, failures, clients, 300).failed_part()
}

#[test]
fn with_failure_as_a_cost_under_one_percent_is_lost() {
    for clients in [1, 4, 20] {
        for law in [Law::LeastCost, Law::LeastRequest] {
            let part = failed(law, Failures::Cost, clients);
            assert!(part <= 0.01, "{law:?}, {clients} clients: {part}");
        }
    }
}

#[test]
fn with_ejection_under_one_percent_is_lost() {
    for clients in [1, 4, 20] {
        for law in [Law::RoundRobin, Law::TwoChoices, Law::LeastRequest] {
            let part = failed(law, Failures::Eject, clients);
            assert!(part <= 0.01, "{law:?}, {clients} clients: {part}");
        }
    }
}

#[test]
fn with_neither_the_broken_draw_more_than_their_part() {
    for law in [
        Law::TwoChoices,
        Law::LeastRequest,
        Law::PeakOfTwo,
        Law::LeastCost,
    ] {
        let part = failed(law, Failures::Answers, 1);
        assert!(part >= 0.12, "{law:?}: {part}");
    }
}
