//! What does a gateway do to requests when servers are slow, fail, go and come back, and what does it cost?
//!
//! Every scenario starts its servers and, in turns, each gateway before them; asks for the answer that all give
//! before and after; makes a load whose requests begin when they are to begin; and writes a section of the page.

pub(crate) mod arrivals;
mod backend;
mod cold;
mod connections;
mod large;
mod latency;
pub(crate) mod load;
mod page;
pub(crate) mod plot;
mod rolling;
mod sample;
mod scene;
mod server;
mod sine;
mod slow;
mod spoken;
mod throughput;
mod way;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Subcommand;

/// What is measured, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    scenario: Scenario,
    /// How often each gateway is measured; medians are shown.
    #[arg(long, global = true)]
    rounds: Option<usize>,
    /// How long the load of a round lasts, in whole seconds.
    #[arg(long, global = true)]
    seconds: Option<u64>,
    /// The binary of wharf.
    #[arg(long, global = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/wharf"))]
    wharf: PathBuf,
    /// The core of the gateway.
    #[arg(long, global = true, default_value_t = 0)]
    server_core: usize,
    /// The core of the load and of the servers behind.
    #[arg(long, global = true, default_value_t = 1)]
    client_core: usize,
    /// A folder for the page, `gateway.md`, of which this scenario's section is written anew, and its chart; without
    /// it, the section is printed.
    #[arg(long, global = true)]
    write: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
enum Scenario {
    /// Eight servers, one ten times slower, one that fails at once.
    Slow,
    /// Servers are killed and started again, one after the other.
    Rolling,
    /// The first seconds of a gateway, with and without connections made ahead.
    Cold,
    /// A load that swings, and bursts: who waits for a connection, and how many are held.
    Sine,
    /// What a gateway adds to the time of a request.
    Latency,
    /// Requests a second, and what one costs the processor.
    Throughput,
    /// A gigabyte up and down.
    Large,
    /// A server that takes five times as long for a while, and a limit of requests before it.
    Backend,
}

/// Measures, and writes the section.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.server_core != options.client_core,
        "the gateway and the load need a core each"
    );
    ensure!(
        options.rounds != Some(0) && options.seconds != Some(0),
        "nothing to do"
    );
    let sections = match options.scenario {
        Scenario::Slow => slow::run(options)?,
        Scenario::Rolling => rolling::run(options)?,
        Scenario::Cold => cold::run(options)?,
        Scenario::Sine => sine::run(options)?,
        Scenario::Latency => latency::run(options)?,
        Scenario::Throughput => throughput::run(options)?,
        Scenario::Large => large::run(options)?,
        Scenario::Backend => backend::run(options)?,
    };
    for section in sections {
        match &options.write {
            Some(folder) => section.write(folder)?,
            None => println!("{section}"),
        }
    }
    Ok(())
}
