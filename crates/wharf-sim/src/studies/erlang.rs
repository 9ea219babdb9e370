//! How many are enough: Erlang's C and the square root rule (Halfin and Whitt, 1981).
//!
//! Of `n` connections under a load of `r` (arrivals × holding time), a request waits with a probability that
//! Erlang's formula gives. With `n = ceil(r + β·√r)` it depends on `β` alone, nearly.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::chance::Chance;
use crate::table::Table;

/// The loads of the table.
pub const LOADS: [f64; 5] = [5.0, 10.0, 50.0, 100.0, 500.0];
/// How generous the staffing is, in the table.
pub const BETAS: [f64; 5] = [0.5, 1.0, 1.5, 2.0, 3.0];
/// Probabilities of waiting, by load and generosity, as published to four digits.
pub const REFERENCE: [[f64; 5]; 5] = [
    [0.3241, 0.1673, 0.0805, 0.0361, 0.0059],
    [0.4494, 0.1741, 0.1020, 0.0309, 0.0037],
    [0.4736, 0.1944, 0.0897, 0.0274, 0.0022],
    [0.5157, 0.2370, 0.0954, 0.0332, 0.0025],
    [0.4828, 0.2184, 0.0859, 0.0288, 0.0017],
];

/// The square root rule.
pub fn staffing(load: f64, beta: f64) -> u32 {
    floor((load + beta * load.sqrt()).ceil())
}

/// Erlang's C: the probability that all of `n` are busy, by way of his B.
pub fn waits(n: u32, load: f64) -> f64 {
    let blocked = (1..=n).fold(1.0, |b, i| load * b / (f64::from(i) + load * b));
    let idle = 1.0 - load / f64::from(n);
    blocked / (idle + (1.0 - idle) * blocked)
}

/// The part of the requests that waits for one of `n` connections held for an exponential time, over so many
/// such times, after a tenth of them.
pub fn run(n: u32, load: f64, holding_times: u32) -> f64 {
    let seed = 1;
    let requests = floor(load * f64::from(holding_times));
    let mut gaps = Chance::new(seed, 1);
    let mut holds = Chance::new(seed, 2);
    // When each connection is free next. In the order of arrival, each request takes the first.
    let mut free: BinaryHeap<Reverse<u64>> = (0..n).map(|_| Reverse(0)).collect();
    let (mut now, mut waited) = (0_u64, 0_u32);
    for request in 0..requests + requests / 10 {
        now += nanos(gaps.exponential(1.0 / load));
        let Some(mut first) = free.peek_mut() else {
            return 1.0;
        };
        waited += u32::from(first.0 > now && request >= requests / 10);
        *first = Reverse(first.0.max(now) + nanos(holds.exponential(1.0)));
    }
    f64::from(waited) / f64::from(requests)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few seconds"
)]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "loads are small and positive"
)]
fn floor(value: f64) -> u32 {
    value as u32
}

/// The table: simulated, and by the formula.
pub fn table(holding_times: u32) -> Table {
    let mut table = Table::new(
        "Erlang C: part of requests that wait for one of n = ceil(r + b·√r) connections (formula)",
        ["r", "b = 0.5", "1", "1.5", "2", "3"],
    );
    for load in LOADS {
        let cell = |beta| {
            let n = staffing(load, beta);
            let measured = run(n, load, holding_times);
            format!("{n}: {measured:.4} ({:.4})", waits(n, load))
        };
        table.row([format!("{load}")].into_iter().chain(BETAS.map(cell)));
    }
    table
}
