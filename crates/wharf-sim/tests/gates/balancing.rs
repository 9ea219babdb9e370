//! Whom to ask: the orderings of the balancer study.

use wharf_sim::balance::Law;
use wharf_sim::studies::balancers::{Policy, run};

fn p99(policy: Policy, servers: u32, clients: usize, load: f64, seconds: u32) -> f64 {
    run(policy, servers, clients, load, seconds)
        .latency
        .at(0.99)
}

fn ordered(latencies: &[f64]) {
    assert!(latencies.is_sorted(), "{latencies:?}");
}

#[test]
fn with_few_servers_looking_at_all_costs_is_best_and_taking_turns_worst() {
    let rows = [
        (Policy::Oracle, 270.0),
        (Policy::Law(Law::LeastCost), 299.0),
        (Policy::Law(Law::LeastRequest), 331.0),
        (Policy::Law(Law::PeakOfTwo), 402.0),
        (Policy::Law(Law::TwoChoices), 453.0),
        (Policy::Law(Law::RoundRobin), 1_360.0),
    ];
    let measured = rows.map(|(policy, _)| p99(policy, 8, 1, 0.9, 3_000));
    ordered(&measured);
    for (measured, (policy, reference)) in measured.into_iter().zip(rows) {
        let off = (measured / reference - 1.0).abs();
        assert!(off < 0.10, "{policy:?}: {measured} instead of {reference}");
    }
}

#[test]
fn among_four_clients_that_know_nothing_of_each_other_it_is_still_the_best() {
    let [cost, requests, two] = [Law::LeastCost, Law::LeastRequest, Law::TwoChoices]
        .map(|law| p99(Policy::Law(law), 8, 4, 0.9, 3_000));
    ordered(&[cost * 1.2, requests, two]);
}

#[test]
fn among_many_private_clients_only_what_the_servers_say_helps() {
    for load in [0.7, 0.9] {
        let p99 = |policy| p99(policy, 100, 100, load, 200);
        let own = [Law::LeastRequest, Law::TwoChoices].map(|law| p99(Policy::Law(law)));
        let told = [p99(Policy::Polled), p99(Policy::Prequal)];
        let (oracle, c3) = (p99(Policy::Oracle), p99(Policy::C3));
        for told in told {
            ordered(&[oracle, c3, told, own[0].min(own[1])]);
        }
        // At 0.7 each client has seven requests at a hundred servers: its own count is worth nothing yet.
        if load > 0.8 {
            ordered(&[own[0].max(own[1]), p99(Policy::Law(Law::RoundRobin))]);
        }
    }
}

#[test]
fn over_its_allocation_prequal_gives_up_nothing_and_turns_give_up_much() {
    for load in [1.1, 1.41] {
        assert_eq!(run(Policy::Prequal, 100, 100, load, 200).late, 0);
    }
    let turns = run(Policy::Law(Law::RoundRobin), 100, 100, 1.41, 200);
    assert!(turns.late_part() > 0.02, "{}", turns.late_part());
}
