//! Whatever happens in whatever order, the books say what a naive list of connections says.

mod model;

use proptest::prelude::*;
use wharf_pool::CloseReason;

use model::Model;

/// One thing that can happen. The numbers choose among what is there, modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    ReserveAtListener(usize),
    ReserveInPool(usize),
    DropSlot(usize),
    Open {
        slot: usize,
        source: usize,
        charged: bool,
    },
    DropGuard(usize),
    Request {
        guard: usize,
    },
    Enter {
        guard: usize,
        pool: usize,
    },
    ReserveMove {
        guard: usize,
        pool: usize,
    },
    Commit(usize),
    Cancel(usize),
    Announce {
        guard: usize,
        source: usize,
    },
    SetLimit {
        scope: usize,
        limit: u32,
    },
    SetShare {
        scope: usize,
        limit: u32,
    },
    SetRate {
        scope: usize,
        limit: u32,
    },
    Pass {
        ticks: u64,
    },
    Reclaim {
        listener: usize,
        source: usize,
        at_most: usize,
    },
    Conclude {
        guard: usize,
        reason: CloseReason,
    },
    CloseAll {
        pool: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = 0..64_usize;
    let step = prop_oneof![
        4 => n.clone().prop_map(Step::ReserveAtListener),
        4 => n.clone().prop_map(Step::ReserveInPool),
        1 => n.clone().prop_map(Step::DropSlot),
        8 => (n.clone(), n.clone(), prop::bool::weighted(0.8))
            .prop_map(|(slot, source, charged)| Step::Open { slot, source, charged }),
        3 => n.clone().prop_map(Step::DropGuard),
        2 => n.clone().prop_map(|guard| Step::Request { guard }),
        3 => (n.clone(), n.clone()).prop_map(|(guard, pool)| Step::Enter { guard, pool }),
        3 => (n.clone(), n.clone()).prop_map(|(guard, pool)| Step::ReserveMove { guard, pool }),
        2 => n.clone().prop_map(Step::Commit),
        1 => n.clone().prop_map(Step::Cancel),
        2 => (n.clone(), n.clone()).prop_map(|(guard, source)| Step::Announce { guard, source }),
        2 => (n.clone(), 0..6_u32).prop_map(|(scope, limit)| Step::SetLimit { scope, limit }),
        3 => (n.clone(), 0..4_u32).prop_map(|(scope, limit)| Step::SetShare { scope, limit }),
        1 => (n.clone(), 0..9_u32).prop_map(|(scope, limit)| Step::SetRate { scope, limit }),
        2 => (1..30_u64).prop_map(|ticks| Step::Pass { ticks }),
        1 => (n.clone(), n.clone(), 0..4_usize).prop_map(|(listener, source, at_most)| {
            Step::Reclaim { listener, source, at_most }
        }),
        1 => (n.clone(), prop::sample::select(CloseReason::ALL))
            .prop_map(|(guard, reason)| Step::Conclude { guard, reason }),
        1 => n.prop_map(|pool| Step::CloseAll { pool }),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_books_agree_with_a_list_of_connections(steps in steps()) {
        let mut model = Model::new();
        for step in steps {
            model.take(&step);
            model.compare();
        }
        model.finish();
    }
}
