//! How many connections to hold.

use wharf_sim::studies::pool::{Policy, run};

#[test]
fn the_law_keeps_waits_rare_with_half_the_connections_of_a_fixed_pool() {
    for seed in 1..=3 {
        let law = run(Policy::Law(1.1), 3_600, seed);
        let waited = law.waited_part();
        assert!(waited <= 0.0015, "{waited}");
        assert!(law.connections <= 55.0, "{}", law.connections);
        assert!(
            law.connects_per_second <= 0.6,
            "{}",
            law.connects_per_second
        );
    }
}

#[test]
fn neither_connections_on_demand_nor_a_small_fixed_pool_pass_the_same_gate() {
    let on_demand = run(Policy::OnDemand, 3_600, 1);
    assert!(on_demand.waited_part() > 0.0015 && on_demand.connections > 55.0);
    assert!(run(Policy::Fixed(50), 3_600, 1).waited_part() > 0.0015);
    assert!(run(Policy::Law(1.0), 3_600, 1).waited_part() > 0.0015);
}

#[test]
fn a_greater_ratio_buys_fewer_waits_with_more_connections() {
    let [least, middle, most] = [1.05, 1.1, 1.2].map(|ratio| run(Policy::Law(ratio), 3_600, 1));
    assert!(least.waited > middle.waited && middle.waited > most.waited);
    assert!(least.connections < middle.connections && middle.connections < most.connections);
}
