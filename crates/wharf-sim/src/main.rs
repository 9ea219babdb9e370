//! Prints the tables of all studies beside their references: `cargo run --release -p wharf-sim`.
//!
//! With names as arguments only the tables whose name begins so.
#![expect(clippy::print_stdout, reason = "a command that prints tables")]

use wharf_sim::studies::{
    balancers, balls, black_hole, dagor, doors, erlang, limiter, pool, supermarket,
};
use wharf_sim::table::Table;

/// A name and what makes the table.
type Study = (&'static str, fn() -> Table);

const STUDIES: [Study; 13] = [
    ("supermarket", || supermarket::table(4_000_000)),
    ("balls", balls::table),
    ("erlang", || erlang::table(40_000)),
    ("balancers-many", || balancers::many(300)),
    ("balancers-few", || balancers::few(3_000)),
    ("black-hole", || black_hole::table(300)),
    ("pool", || pool::table(7_200)),
    ("limiter-processors", limiter::processors),
    ("limiter-starts", limiter::starts),
    ("limiter-changes", limiter::changes),
    ("limiter-waits", limiter::waits),
    ("dagor", || dagor::table(300)),
    ("doors", || doors::table(3_600)),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for (name, table) in STUDIES {
        if wanted.is_empty()
            || wanted
                .iter()
                .any(|wanted| name.starts_with(wanted.as_str()))
        {
            println!("{}", table());
        }
    }
}
