//! Choosing among queues, and how many servers are enough: against formulas.

use wharf_sim::studies::supermarket::{Choices, expected};
use wharf_sim::studies::{balls, erlang, supermarket};

fn within(part: f64, measured: f64, expected: f64, what: &str) {
    let off = (measured / expected - 1.0).abs();
    assert!(off <= part, "{what}: {measured} instead of {expected}");
}

#[test]
fn the_time_in_a_supermarket_is_within_five_percent_of_the_formula() {
    for load in [0.5, 0.7, 0.8, 0.9, 0.95] {
        let one = supermarket::run(100, load, Choices::One, 6_000_000);
        within(0.05, one, expected(load, Choices::One), "one choice");
        for choices in [Choices::Two, Choices::Three, Choices::Five] {
            // The formula is that of infinitely many servers.
            let measured = supermarket::run(500, load, choices, 3_000_000);
            let what = format!("{choices:?} at {load}");
            within(0.05, measured, expected(load, choices), &what);
        }
    }
}

#[test]
fn the_fullest_bin_is_ordered_as_theory_says_and_its_excess_does_not_grow_with_the_balls() {
    let thrown_once = [
        balls::run::<1>(10_000, 1, 20),
        balls::run::<2>(10_000, 1, 20),
        balls::run::<3>(10_000, 1, 20),
    ];
    for (measured, expected) in thrown_once.into_iter().zip([6.60, 3.02, 3.00]) {
        within(0.05, measured, expected, "10^4 balls");
    }
    let thrown_often = [
        balls::run::<1>(10_000, 16, 5),
        balls::run::<2>(10_000, 16, 5),
        balls::run::<3>(10_000, 16, 5),
    ];
    assert!(
        thrown_often[0] - 16.0 > 2.0 * thrown_once[0],
        "{thrown_often:?}"
    );
    for (often, once) in thrown_often.into_iter().zip(thrown_once).skip(1) {
        assert!(
            (often - 16.0) - (once - 1.0) <= 0.5,
            "{thrown_often:?} {thrown_once:?}"
        );
    }
    let many = [
        balls::run::<1>(1_000_000, 1, 1),
        balls::run::<2>(1_000_000, 1, 1),
    ];
    assert!(many[0] >= 8.0 && many[1] <= 4.0, "{many:?}");
}

#[test]
fn erlangs_formula_gives_the_published_table() {
    for (load, row) in erlang::LOADS.into_iter().zip(erlang::REFERENCE) {
        for (beta, published) in erlang::BETAS.into_iter().zip(row) {
            let waits = erlang::waits(erlang::staffing(load, beta), load);
            assert!(
                (waits - published).abs() <= 0.000_05,
                "{load} {beta}: {waits}"
            );
        }
    }
}

#[test]
fn as_many_wait_as_erlang_says() {
    for load in erlang::LOADS {
        // Beyond, so few wait that it would take hours to count them.
        for beta in [0.5, 1.0, 1.5, 2.0] {
            let n = erlang::staffing(load, beta);
            let what = format!("{n} for {load}");
            within(
                0.10,
                erlang::run(n, load, 40_000),
                erlang::waits(n, load),
                &what,
            );
        }
    }
}
