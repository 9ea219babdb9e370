//! Balls in bins: how full the fullest is (Azar, Broder, Karlin and Upfal, 1994; Berenbrink et al., 2000).
//!
//! With one choice about `ln n / ln ln n` over the mean, with `d` about `ln ln n / ln d`, and that however many balls
//! are thrown.

use wharf_control::upstream::least_of_random;

use crate::chance::Chance;
use crate::table::Table;

/// The load of the fullest bin, averaged over `runs`.
pub fn run<const D: usize>(bins: usize, balls_each: usize, runs: u64) -> f64 {
    let total: u32 = (0..runs)
        .map(|seed| {
            let mut random = Chance::new(seed, D as u64);
            let mut loads = vec![0_u32; bins];
            for _ in 0..bins * balls_each {
                let cost = |bin: usize| Some(f64::from(loads[bin]));
                if let Some(bin) = least_of_random::<D>(bins, random.random(), cost) {
                    loads[bin] += 1;
                }
            }
            loads.into_iter().max().unwrap_or(0)
        })
        .sum();
    f64::from(total) / runs as f64
}

/// The table, beside the reference.
pub fn table() -> Table {
    let mut table = Table::new(
        "Balls in bins: the fullest bin (reference)",
        ["bins, balls each", "1 choice", "2", "3"],
    );
    let mut row = |name: &str, bins, each, runs, reference: [f64; 3]| {
        let measured = [
            run::<1>(bins, each, runs),
            run::<2>(bins, each, runs),
            run::<3>(bins, each, runs),
        ];
        let cell = |(measured, reference): (f64, f64)| format!("{measured:.2} ({reference:.2})");
        let cells = measured.into_iter().zip(reference).map(cell);
        table.row([name.to_owned()].into_iter().chain(cells));
    };
    row("10^4, 1", 10_000, 1, 50, [6.60, 3.02, 3.00]);
    row("10^6, 1", 1_000_000, 1, 3, [8.67, 4.00, 3.00]);
    row("10^4, 16", 10_000, 16, 10, [33.5, 18.4, 18.0]);
    table
}
