//! What does a request cost the server's processor, and how many a second does one core serve?
//!
//! The server has one core and the load another. Each round starts a server, asks it for the answer that all
//! give, warms it up, loads it, and asks again; rounds of all servers take turns, so that whatever else
//! happens on the machine happens to all of them.

pub(crate) mod chart;
mod check;
mod closed;
mod echo;
pub(crate) mod figures;
mod handshake;
mod load;
pub(crate) mod machine;
pub(crate) mod processor;
mod report;
mod round;
pub(crate) mod tool;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::descriptors::raise_descriptors;
use crate::peers::{self, Allocator, Peer};
use crate::site::Site;
use figures::Figures;
use load::Load;
use report::Report;
use round::Round;

/// What is measured, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// With whom; all, if left out.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Under which load: http1, http1-256, http1-1024, fresh, https, http2, http2-tls, handshake, resumed, download,
    /// upload, grpc, grpc-replies, echo, echo-16k, echo-64k; all, if left out.
    #[arg(long, value_delimiter = ',')]
    loads: Vec<String>,
    /// By so many connections, one after the other, and not by as many as each load has.
    #[arg(long, value_delimiter = ',')]
    connections: Vec<u32>,
    /// How often each server is measured under each load; medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long the load of a round lasts, in whole seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// How often a round is measured again while others use more than a tenth of the server's core; the least
    /// disturbed counts.
    #[arg(long, default_value_t = 2)]
    again: usize,
    /// What the peers in Rust allocate with.
    #[arg(long, value_enum, default_value = "glibc")]
    allocator: Allocator,
    /// The binary of wharf, which should have the same allocator.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/wharf"))]
    wharf: PathBuf,
    /// The core of the server.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the load.
    #[arg(long, default_value_t = 1)]
    client_core: usize,
    /// A folder for the report and its chart; without it, the report is printed.
    #[arg(long)]
    write: Option<PathBuf>,
    /// How the two files are called there, without `.md` and `.svg`.
    #[arg(long, default_value = "compare")]
    page: String,
}

/// What one server did under one load, in all rounds.
struct Measured {
    peer: usize,
    rounds: Vec<Round>,
}

/// Measures, and writes the report.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.server_core != options.client_core,
        "the server and the load need a core each"
    );
    ensure!(options.rounds > 0 && options.seconds > 0, "nothing to do");
    raise_descriptors()?;
    let site = Site::new(1)?;
    let mut peers = peers::all(options.allocator, options.wharf.clone());
    for name in &options.peers {
        let known = peers.iter().any(|peer| peer.name() == name);
        ensure!(known, "there is no peer {name}");
    }
    peers.retain(|peer| {
        options.peers.is_empty() || options.peers.iter().any(|it| it == peer.name())
    });
    let loads = chosen(&options.loads, &options.connections)?;
    let mut report = Report::new(options);
    for load in loads {
        let measured = measure(&peers, &site, &load, options)?;
        let figures = measured.into_iter().map(|measured| {
            let peer = &*peers[measured.peer];
            Figures::of(peer.name(), &measured.rounds)
        });
        report.add(load, figures.collect());
    }
    let present: Vec<_> = peers
        .iter()
        .map(|peer| (peer.name(), peer.version()))
        .collect();
    let text = report.markdown(&present)?;
    let Some(folder) = &options.write else {
        println!("{text}");
        return Ok(());
    };
    let write = |kind, text: &str| {
        let path = folder.join(format!("{}.{kind}", options.page));
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    write("md", &text)?;
    write("svg", &report.chart()?)
}

/// The loads of these names, each once for each number of connections.
fn chosen(names: &[String], connections: &[u32]) -> Result<Vec<Load>> {
    for name in names {
        let known = load::ALL.iter().any(|load| load.name == name);
        ensure!(known, "there is no load {name}");
    }
    let wanted = |load: &&Load| names.is_empty() || names.iter().any(|name| name == load.name);
    let mut chosen = Vec::new();
    for load in load::ALL.iter().filter(wanted) {
        if connections.is_empty() {
            chosen.push(load.clone());
        }
        chosen.extend(connections.iter().map(|&connections| Load {
            connections,
            ..load.clone()
        }));
    }
    Ok(chosen)
}

/// All rounds of all servers under one load, in turns. Who is not installed is left out.
fn measure(
    peers: &[Box<dyn Peer>],
    site: &Site,
    load: &Load,
    options: &Options,
) -> Result<Vec<Measured>> {
    let mut measured: Vec<_> = (0..peers.len())
        .filter(|&peer| peers[peer].speaks(load.protocol) && peers[peer].does(load.work))
        .map(|peer| Measured {
            peer,
            rounds: Vec::new(),
        })
        .collect();
    for nth in 0..options.rounds {
        let mut there = Vec::with_capacity(measured.len());
        for mut one in measured {
            let peer = &*peers[one.peer];
            let round = round::run(peer, site, load, options)
                .with_context(|| format!("{} under {}", peer.name(), load.name))?;
            let Some(round) = round else {
                eprintln!("{}: not installed, left out", peer.name());
                continue;
            };
            eprintln!("{} {nth} {}: {round}", load.name, peer.name());
            one.rounds.push(round);
            there.push(one);
        }
        measured = there;
        // Nobody always comes after the same one.
        if !measured.is_empty() {
            measured.rotate_left(1);
        }
    }
    measured.sort_by_key(|one| one.peer);
    Ok(measured)
}
