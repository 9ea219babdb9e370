//! How many requests at a time: sixteen workers of 10 ms (1,600 requests/s), and a server that only waits.
//!
//! The right limit is known: as many as there are workers, and for the twin without workers anything over
//! arrivals × latency.

use crate::limit::{
    Distribution, Fixed, Gated, Gradient2, Limiter, Phase, PhaseReport, Service, Vegas, simulate,
};
use crate::table::Table;

/// Mean service time of the workers, in seconds.
pub const MEAN: f64 = 0.010;

/// Sixteen workers at this many times what they can do.
pub fn overload(times: f64, contention: f64, seconds: f64) -> Phase {
    Phase {
        seconds,
        rate: times * 1_600.0,
        service: Service::Workers {
            count: 16,
            contention,
        },
        mean: MEAN,
    }
}

/// Workers come and go, and load with them: 16, 4, 48, 8, each at one and a half times what it can do.
pub fn steps() -> Vec<Phase> {
    [16, 4, 48, 8].into_iter().map(step).collect()
}

fn step(count: u32) -> Phase {
    Phase {
        seconds: 60.0,
        rate: 1.5 * f64::from(count) / MEAN,
        service: Service::Workers {
            count,
            contention: 0.0,
        },
        mean: MEAN,
    }
}

/// A thousand requests a second that wait for something else: 10 ms, then 50 ms, then 10 ms again.
///
/// The phases are cut so that the second half of each is what is looked at: 5 to 10 s, 20 to 40 s and 60 to 100 s after the step, and 20 s after the
/// recovery.
pub fn waiting() -> Vec<Phase> {
    let phase = |(seconds, mean)| Phase {
        seconds,
        rate: 1_000.0,
        service: Service::Unlimited,
        mean,
    };
    [
        (60.0, 0.010),
        (10.0, 0.050),
        (30.0, 0.050),
        (60.0, 0.050),
        (40.0, 0.010),
    ]
    .map(phase)
    .to_vec()
}

/// Runs the phases with exponential service.
pub fn run(phases: &[Phase], limiter: &mut dyn Limiter) -> Vec<PhaseReport> {
    simulate(phases, Distribution::Exponential, limiter, 1)
}

/// Every limiter of the tables, anew.
fn limiters() -> Vec<(&'static str, Box<dyn Limiter>)> {
    vec![
        ("fixed, 16", Box::new(Fixed(16))),
        ("fixed, 200", Box::new(Fixed(200))),
        ("(Vegas)", Box::new(Vegas::new(20))),
        ("(Gradient2, at most 1000)", Box::new(Gradient2::new(1_000))),
        ("gradient gated by elasticity", Box::new(Gated::new(20))),
    ]
}

/// An hour at twice the load, and three minutes with contention.
pub fn processors() -> Table {
    let mut table = Table::new(
        "16 workers, exp(10 ms), twice the load: last half hour of one; goodput with 2 % contention, 180 s (reference)",
        [
            "",
            "limit",
            "goodput/s",
            "p50 ms",
            "p99 ms",
            "contended goodput/s",
        ],
    );
    let reference = [
        ["16", "1505", "6.9", "46", "1505"],
        ["200", "0", "123", "165", "0"],
        ["22", "1583", "10.6", "50", "1480"],
        ["1000", "0", "624", "681", "961"],
        ["20", "1560", "9.0", "48", "1492"],
    ];
    let contended = limiters();
    for (((name, mut limiter), (_, mut other)), reference) in
        limiters().into_iter().zip(contended).zip(reference)
    {
        let hour = run(&[overload(2.0, 0.0, 3_600.0)], &mut *limiter);
        let contended = run(&[overload(2.0, 0.02, 180.0)], &mut *other);
        let (hour, contended) = (&hour[0], &contended[0]);
        let numbers = [
            format!("{:.0}", hour.limit),
            format!("{:.0}", hour.goodput),
            format!("{:.1}", hour.millis(0.5)),
            format!("{:.0}", hour.millis(0.99)),
            format!("{:.0}", contended.goodput),
        ];
        let cells = numbers.into_iter().zip(reference);
        let cells = cells.map(|(number, reference)| format!("{number} ({reference})"));
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    table
}

/// The same from several first limits, and with other service times.
pub fn starts() -> Table {
    let mut table = Table::new(
        "16 workers, twice the load: the limit from 15 to 30 s by the first limit, and after 5 min by service times",
        ["", "limit", "goodput/s"],
    );
    let mut row = |name: String, reports: &[PhaseReport]| {
        let report = &reports[0];
        table.row([
            name,
            format!("{:.1}", report.limit),
            format!("{:.0}", report.goodput),
        ]);
    };
    for initial in [2, 20, 200, 1_000] {
        let reports = run(&[overload(2.0, 0.0, 30.0)], &mut Gated::new(initial));
        row(format!("from {initial}"), &reports);
    }
    for distribution in [
        Distribution::NearlyConstant,
        Distribution::LogNormal,
        Distribution::Bimodal,
    ] {
        let phases = [overload(2.0, 0.01, 300.0)];
        let reports = simulate(&phases, distribution, &mut Gated::new(20), 1);
        row(format!("{distribution:?}, 1 % contention"), &reports);
    }
    table
}

/// Workers that come and go.
pub fn changes() -> Table {
    let mut table = Table::new(
        "Workers come and go, 1.5 times their load: limit, answers/s and p95 ms in the second half of each minute",
        ["", "16 workers", "4", "48", "8"],
    );
    for (name, mut limiter) in limiters() {
        let cell = |report: &PhaseReport| {
            format!(
                "{:.0}: {:.0}/s {:.0}",
                report.limit,
                report.throughput,
                report.millis(0.95)
            )
        };
        let reports = run(&steps(), &mut *limiter);
        table.row(
            [name.to_owned()]
                .into_iter()
                .chain(reports.iter().map(cell)),
        );
    }
    table
}

/// The twin that only waits.
pub fn waits() -> Table {
    let mut table = Table::new(
        "1000/s that only wait, 10 → 50 → 10 ms: % rejected (reference)",
        ["", "5-10 s", "25-40 s", "70-100 s", "recovered"],
    );
    let reference = [
        ["", "", "", ""],
        ["", "", "", ""],
        ["88", "75", "77", "1.5"],
        ["50", "61", "62", "0"],
        ["12.6", "0.6", "0.2", "0"],
    ];
    for ((name, mut limiter), reference) in limiters().into_iter().zip(reference) {
        let reports = run(&waiting(), &mut *limiter);
        let cells = reports.iter().skip(1).zip(reference);
        let cells = cells
            .map(|(report, reference)| format!("{:.1} ({reference})", report.rejected * 100.0));
        table.row([name.to_owned()].into_iter().chain(cells));
    }
    table
}
