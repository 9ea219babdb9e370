//! How many connections to hold: requests that find none, against connections held and made.
//!
//! HTTP/1 to one endpoint: arrivals between 100 and 700 a second, a sine of ten minutes, and for 5 s of every two
//! minutes 2.5 times as many. A connection is held for a log-normal time (mean 50 ms, σ 1) and made in 30 ms.

mod plant;

pub use plant::{Policy, Report, run};

use crate::table::Table;

/// The table, beside the reference.
pub fn table(seconds: u32) -> Table {
    let mut table = Table::new(
        "Pool of one endpoint (reference)",
        [
            "",
            "waited %",
            "p99.9 wait ms",
            "mean connections",
            "connects/s",
        ],
    );
    let rows = [
        (
            "on demand, 90 s idle",
            Policy::OnDemand,
            ["0.24", "4.2", "68.2", "0.31"],
        ),
        (
            "fixed, 40",
            Policy::Fixed(40),
            ["2.39", "12.6", "43", "3.2"],
        ),
        (
            "fixed, 70",
            Policy::Fixed(70),
            ["0.42", "4.7", "70", "0.47"],
        ),
        (
            "fixed, 100",
            Policy::Fixed(100),
            ["0.13", "0.9", "100", "0.17"],
        ),
        (
            "law, ratio 1",
            Policy::Law(1.0),
            ["0.30", "5.3", "44.6", "0.41"],
        ),
        (
            "law, ratio 1.05",
            Policy::Law(1.05),
            ["0.17", "2.7", "47", "0.44"],
        ),
        (
            "law, ratio 1.1",
            Policy::Law(1.1),
            ["0.09", "0", "49", "0.45"],
        ),
        (
            "law, ratio 1.2",
            Policy::Law(1.2),
            ["0.04", "0", "54", "0.49"],
        ),
    ];
    for (name, policy, [waited, wait, connections, connects]) in rows {
        let mut report = run(policy, seconds, 1);
        table.row([
            name.to_owned(),
            format!("{:.2} ({waited})", report.waited_part() * 100.0),
            format!("{:.1} ({wait})", report.wait.at(0.999)),
            format!("{:.1} ({connections})", report.connections),
            format!("{:.2} ({connects})", report.connects_per_second),
        ]);
    }
    table
}
