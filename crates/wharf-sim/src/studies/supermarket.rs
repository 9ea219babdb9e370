//! Choosing among queues: Mitzenmacher's supermarket model ("The power of two choices in randomized load
//! balancing", 1996).
//!
//! Servers with a queue each, service exponential with mean 1, arrivals `λ` for each server. The
//! mean time in the system with `d` choices is, for many servers, `Σ λ^((d^i - d)/(d - 1))` over `i ≥ 1`; with one choice
//! `1/(1 - λ)`.

use std::collections::VecDeque;

use wharf_control::upstream::{least, least_of_random};

use crate::chance::Chance;
use crate::table::Table;

/// How many queues are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a column of the table each")]
pub enum Choices {
    /// One.
    One,
    /// Two.
    Two,
    /// Three.
    Three,
    /// Five.
    Five,
    /// All of them.
    All,
}

impl Choices {
    /// In the order of the table.
    pub const EACH: [Self; 5] = [Self::One, Self::Two, Self::Three, Self::Five, Self::All];
}

/// The mean time in the system by the formula for infinitely many servers.
pub fn expected(load: f64, choices: Choices) -> f64 {
    let d = match choices {
        Choices::One => return 1.0 / (1.0 - load),
        Choices::Two => 2.0_f64,
        Choices::Three => 3.0,
        Choices::Five => 5.0,
        Choices::All => return 1.0,
    };
    (1..60)
        .map(|i| load.powf((d.powi(i) - d) / (d - 1.0)))
        .sum()
}

/// The mean time in the system over `jobs` jobs, after as many as a tenth of them.
pub fn run(servers: usize, load: f64, choices: Choices, jobs: u32) -> f64 {
    let seed = 1;
    let mut gaps = Chance::new(seed, 1);
    let mut work = Chance::new(seed, 2);
    let mut random = Chance::new(seed, 3);
    // Of each server, when the jobs that it has leave.
    let mut queues = vec![VecDeque::<f64>::new(); servers];
    let (mut now, mut total) = (0.0, 0.0);
    for job in 0..jobs + jobs / 10 {
        now += gaps.exponential(1.0 / (load * servers as f64));
        let length =
            |queue: &VecDeque<f64>| queue.len() - queue.partition_point(|&leaves| leaves <= now);
        let cost = |server: usize| Some(length(&queues[server]) as f64);
        let random = random.random();
        let chosen = match choices {
            Choices::One => least_of_random::<1>(servers, random, cost),
            Choices::Two => least_of_random::<2>(servers, random, cost),
            Choices::Three => least_of_random::<3>(servers, random, cost),
            Choices::Five => least_of_random::<5>(servers, random, cost),
            Choices::All => least(servers, random, cost),
        };
        let Some(queue) = chosen.map(|server| &mut queues[server]) else {
            continue;
        };
        while queue.front().is_some_and(|&leaves| leaves <= now) {
            queue.pop_front();
        }
        let leaves = queue.back().map_or(now, |&last| last.max(now)) + work.exponential(1.0);
        queue.push_back(leaves);
        if job >= jobs / 10 {
            total += leaves - now;
        }
    }
    total / f64::from(jobs)
}

/// The table, beside the formula.
pub fn table(jobs: u32) -> Table {
    let mut table = Table::new(
        "Supermarket model: mean time in the system, 100 servers (formula for infinitely many)",
        ["load", "1 choice", "2", "3", "5", "all (no formula)"],
    );
    for load in [0.5, 0.7, 0.8, 0.9, 0.95, 0.99] {
        let cell = |choices| {
            let measured = run(100, load, choices, jobs);
            if choices == Choices::All {
                format!("{measured:.3}")
            } else {
                format!("{measured:.3} ({:.3})", expected(load, choices))
            }
        };
        table.row(
            [format!("{load:.2}")]
                .into_iter()
                .chain(Choices::EACH.map(cell)),
        );
    }
    table
}
