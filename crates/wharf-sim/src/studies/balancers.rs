//! Which balancer, how many servers and clients: latency at the end of the tail.

use crate::balance::{
    Balancer, C3, Failures, Law, Laws, Oracle, Polled, Prequal, Report, Scenario, simulate,
};
use crate::table::Table;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all rows there are")]
pub enum Policy {
    /// A law of wharf; failures are a cost.
    Law(Law),
    /// Two choices by polled load.
    Polled,
    /// Prequal by requests in flight.
    Prequal,
    /// C3.
    C3,
    /// Everything known.
    Oracle,
}

impl Policy {
    fn name(self) -> &'static str {
        match self {
            Self::Law(Law::Chance) => "by chance",
            Self::Law(Law::RoundRobin) => "in turn",
            Self::Law(Law::LeastRequest) => "least request, of all",
            Self::Law(Law::TwoChoices) => "least request, of two",
            Self::Law(Law::PeakOfTwo) => "latency × work, of two",
            Self::Law(Law::LeastCost) => "latency × work, of all",
            Self::Polled => "(polled, of two)",
            Self::Prequal => "(Prequal, in flight)",
            Self::C3 => "(C3)",
            Self::Oracle => "(oracle)",
        }
    }

    fn balancer(self, servers: u32, clients: usize) -> Box<dyn Balancer> {
        match self {
            Self::Law(law) => Box::new(Laws::new(law, Failures::Cost, servers, clients)),
            Self::Polled => Box::new(Polled::new(servers as usize, clients)),
            Self::Prequal => Box::new(Prequal::new(clients)),
            Self::C3 => Box::new(C3::new(servers as usize, clients)),
            Self::Oracle => Box::new(Oracle::new()),
        }
    }
}

/// A policy in its plant: so many servers, clients and seconds, at this load.
pub fn run(policy: Policy, servers: u32, clients: usize, load: f64, seconds: u32) -> Report {
    let scenario = Scenario {
        servers: servers as usize,
        broken: 0,
        clients,
        load,
        seconds,
        seed: 1,
    };
    simulate(scenario, &mut *policy.balancer(servers, clients))
}

/// A hundred servers and as many clients that know nothing of each other.
pub fn many(seconds: u32) -> Table {
    let mut table = Table::new(
        "100 servers, 100 clients: p99 / p99.9 ms, part given up (reference)",
        ["", "load 0.7", "0.9", "1.1", "1.41"],
    );
    let rows: [(Policy, [&str; 4]); 9] = [
        (
            Policy::Law(Law::Chance),
            ["1025/1860", "2212/4057", "5000/5000", ""],
        ),
        (
            Policy::Law(Law::RoundRobin),
            ["1013/1890", "1794/3110", "4677/5000", ""],
        ),
        (
            Policy::Law(Law::LeastRequest),
            ["927/1610", "1689/3104", "2886/4872", ""],
        ),
        (
            Policy::Law(Law::TwoChoices),
            ["924/1664", "1764/3110", "3212/5000", ""],
        ),
        (
            Policy::Law(Law::PeakOfTwo),
            ["941/1745", "1983/3781", "4206/5000", ""],
        ),
        (Policy::Polled, ["530/805", "653/982", "804/1121", ""]),
        (Policy::Prequal, ["590/929", "645/959", "680/1020", ""]),
        (Policy::C3, ["443/634", "495/713", "532/749", ""]),
        (Policy::Oracle, ["266/327", "265/327", "266/327", ""]),
    ];
    for (policy, reference) in rows {
        let loads = [0.7, 0.9, 1.1, 1.41].into_iter().zip(reference);
        let cell = |(load, reference)| cell(&mut run(policy, 100, 100, load, seconds), reference);
        table.row(
            [policy.name().to_owned()]
                .into_iter()
                .chain(loads.map(cell)),
        );
    }
    table
}

/// Eight servers and one client, or four.
pub fn few(seconds: u32) -> Table {
    let mut table = Table::new(
        "8 servers: p99 / p99.9 ms, part given up (reference)",
        ["", "1 client, 0.7", "1 client, 0.9", "4 clients, 0.9"],
    );
    let rows: [(Policy, [&str; 3]); 6] = [
        (Policy::Law(Law::RoundRobin), ["555/1093", "1360/2498", ""]),
        (Policy::Law(Law::TwoChoices), ["369/547", "453/678", "647/"]),
        (Policy::Law(Law::PeakOfTwo), ["336/502", "402/649", ""]),
        (
            Policy::Law(Law::LeastRequest),
            ["298/403", "331/462", "508/"],
        ),
        (Policy::Law(Law::LeastCost), ["285/390", "299/425", "359/"]),
        (Policy::Oracle, ["268/329", "270/337", "268/"]),
    ];
    for (policy, reference) in rows {
        let runs = [(1, 0.7), (1, 0.9), (4, 0.9)].into_iter().zip(reference);
        let cell = |((clients, load), reference)| {
            cell(&mut run(policy, 8, clients, load, seconds), reference)
        };
        table.row([policy.name().to_owned()].into_iter().chain(runs.map(cell)));
    }
    table
}

fn cell(report: &mut Report, reference: &str) -> String {
    let (p99, p999) = (report.latency.at(0.99), report.latency.at(0.999));
    let late = if report.late > 0 {
        format!(" {:.1} %", report.late_part() * 100.0)
    } else {
        String::new()
    };
    let reference = if reference.is_empty() {
        String::new()
    } else {
        format!(" ({reference})")
    };
    format!("{p99:.0}/{p999:.0}{late}{reference}")
}
