//! Connections by what the limit of requests can serve: why wharf does not limit them so.

use wharf_sim::studies::doors::{CROWDS, Report, run};

/// What becomes of a crowd with the rule, and without.
fn both(crowd: usize) -> [Report; 2] {
    let (_, crowd) = CROWDS[crowd];
    [true, false].map(|ruled| run(crowd, 10, ruled, 1_800, 1))
}

#[test]
fn nobody_is_turned_away_while_the_limit_of_requests_is_not_met() {
    let [with, without] = both(0);
    assert!(with.turned_away == 0.0 && without.turned_away == 0.0);
}

#[test]
fn clients_that_idle_between_bursts_are_turned_away_and_no_more_is_served() {
    let [with, without] = both(1);
    assert!(with.turned_away > 0.5, "{with:?}");
    assert!(with.unserved > without.unserved, "{with:?} {without:?}");
}

#[test]
fn under_overload_less_is_served() {
    let [with, without] = both(2);
    assert!(with.held < 0.5 * without.held, "{with:?}");
    assert!(
        with.unserved > without.unserved + 0.05,
        "{with:?} {without:?}"
    );
}

#[test]
fn most_sessions_are_turned_away_that_cost_no_place() {
    let [with, without] = both(3);
    assert!(with.held <= 41.0 && with.unserved > 0.85, "{with:?}");
    assert!(without.held > 399.0 && without.unserved == 0.0);
}
