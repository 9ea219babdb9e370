//! Two of twenty servers fail every request at once: how much of the traffic do they draw?

use crate::balance::{Failures, Law, Laws, Report, Scenario, simulate};
use crate::table::Table;

/// Among so many clients, each with what it has seen itself.
pub fn run(law: Law, failures: Failures, clients: usize, seconds: u32) -> Report {
    let scenario = Scenario {
        servers: 20,
        broken: 2,
        clients,
        load: 0.7,
        seconds,
        seed: 1,
    };
    simulate(scenario, &mut Laws::new(law, failures, 20, clients))
}

/// The table, beside the reference.
pub fn table(seconds: u32) -> Table {
    let mut table = Table::new(
        "2 of 20 servers fail at once: % of requests that fail (reference)",
        ["", "1 client", "4", "20"],
    );
    let rows = [
        (
            "in turn",
            Law::RoundRobin,
            Failures::Answers,
            ["10.0", "", ""],
        ),
        (
            "least request, of two",
            Law::TwoChoices,
            Failures::Answers,
            ["15.9", "12.0", "10.6"],
        ),
        (
            "least request, of all",
            Law::LeastRequest,
            Failures::Answers,
            ["23.2", "11.9", "10.7"],
        ),
        (
            "latency × work, of two",
            Law::PeakOfTwo,
            Failures::Answers,
            ["19.3", "", "19.5"],
        ),
        (
            "least request, of two, ejection",
            Law::TwoChoices,
            Failures::Eject,
            ["0.59", "", "5.8"],
        ),
        (
            "least request, of all, ejection",
            Law::LeastRequest,
            Failures::Eject,
            ["0.61", "", "6.1"],
        ),
        (
            "least request, of all, failure as load",
            Law::LeastRequest,
            Failures::Cost,
            ["0.06", "0.02", "0.11"],
        ),
        (
            "latency × work, of two, failure as cost",
            Law::PeakOfTwo,
            Failures::Cost,
            ["0.53", "0.60", "1.13"],
        ),
        (
            "latency × work, of all, failure as cost",
            Law::LeastCost,
            Failures::Cost,
            ["0.06", "0.16", "0.72"],
        ),
    ];
    for (name, law, failures, reference) in rows {
        let cell = |(clients, reference)| {
            let part = run(law, failures, clients, seconds).failed_part() * 100.0;
            format!("{part:.2} ({reference})")
        };
        let cells = [1, 4, 20].into_iter().zip(reference).map(cell);
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    table
}
