//! Does it pay to give each core connections of its own?
//!
//! The same server, hyper by itself, on all cores: once with tokio's scheduler, where whoever has nothing to do takes
//! work from the others, and once with a runtime for each worker, where a connection stays with the worker that had
//! fewest connections when it came. The load has the same cores: what counts is the processor time of a request, and
//! how the two differ under the same load.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::client::{Client, Door};
use crate::compare::figures::{middle, sorted};
use crate::compare::processor::spent;
use crate::compare::tool::{Said, Tool};
use crate::descriptors::raise_descriptors;
use crate::idle::open;
use crate::peers::{Peer, Running};
use crate::protocol::Protocol;
use crate::site::Site;
use crate::table::Table;

mod design;

use design::Design;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often each is measured; the medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long the load of a round lasts, in whole seconds.
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Workers of the server.
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

/// What is asked, and by whom.
#[derive(Debug)]
struct Load {
    title: &'static str,
    protocol: Protocol,
    tool: Tool,
    arguments: &'static str,
    target: &'static str,
    /// A connection ends with its first answer, and another begins.
    fresh: bool,
    /// Who came before went unevenly.
    skewed: bool,
}

const KEPT: Load = Load {
    title: "HTTP/1, 64 connections",
    protocol: Protocol::Http1,
    tool: Tool::Wrk,
    arguments: "-t1 -c64 --latency",
    target: "/hello",
    fresh: false,
    skewed: false,
};

const EVEN: Load = Load {
    title: "HTTP/2, 8 connections, answers that take 0.1 ms of work",
    protocol: Protocol::Http2,
    tool: Tool::H2load,
    arguments: "-t1 -c8 -m8",
    target: "/work",
    fresh: false,
    skewed: false,
};

const LOADS: [Load; 5] = [
    KEPT,
    Load {
        title: "HTTP/1, 256 connections",
        arguments: "-t1 -c256 --latency",
        ..KEPT
    },
    Load {
        title: "HTTP/1, a new connection for each request",
        fresh: true,
        ..KEPT
    },
    EVEN,
    Load {
        title: "the same, when those before them were closed unevenly",
        skewed: true,
        ..EVEN
    },
];

/// Connections of HTTP/2 that are open before the load when it is skewed; every other one is closed again.
const BEFORE: usize = 16;

/// Microseconds of processor for each request, requests a second, and milliseconds of p50 and p99 if they are known.
type Round = [f64; 4];

/// Measures, and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(options.rounds > 0 && options.seconds > 0, "nothing to do");
    raise_descriptors()?;
    let site = Site::new(options.workers)?;
    let table = Table::begin(&[
        "",
        "CPU, µs",
        "least",
        "most",
        "requests/s",
        "p50, ms",
        "p99, ms",
    ]);
    for load in &LOADS {
        let mut rounds = Design::ALL.map(|_| Vec::new());
        for nth in 0..options.rounds {
            // They take turns at being first.
            for turn in 0..Design::ALL.len() {
                let at = (nth + turn) % Design::ALL.len();
                let round = measure(Design::ALL[at], load, &site, options);
                rounds[at].push(round.with_context(|| load.title)?);
            }
        }
        for (design, rounds) in Design::ALL.iter().zip(&rounds) {
            let figure = |at: usize| sorted(rounds.iter().map(|round| round[at]));
            let costs = figure(0);
            let time = |at| {
                let time = middle(&figure(at));
                if time.is_nan() {
                    String::new()
                } else {
                    format!("{time:.2}")
                }
            };
            let [least, most] = [costs.first(), costs.last()].map(|it| *it.unwrap_or(&f64::NAN));
            table.row(&[
                format!("{}: {}", load.title, design.name()),
                format!("{:.2}", middle(&costs)),
                format!("{least:.2}"),
                format!("{most:.2}"),
                format!("{:.0}", middle(&figure(1))),
                time(2),
                time(3),
            ]);
        }
    }
    Ok(())
}

fn measure(design: Design, load: &Load, site: &Site, options: &Options) -> Result<Round> {
    let server = Running::start(&design, site, load.protocol)?;
    let server = server.context("bench/build has not built it")?;
    let door = Door {
        address: server.address,
        protocol: load.protocol,
        tls: site.client(load.protocol)?,
    };
    for client in &mut open(&door, 1)? {
        client.ask()?;
        client.hear()?;
    }
    let _held = if load.skewed {
        skew(&door)?
    } else {
        Vec::new()
    };
    make(load, 1, server.address)?;
    let before = spent(server.pid())?;
    let said = make(load, options.seconds, server.address)?;
    let used = spent(server.pid())? - before;
    ensure!(
        said.requests > 0 && said.failed == 0,
        "{} failed",
        said.failed
    );
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds' requests")]
    let requests = said.requests as f64;
    let [half, most] = said.latency.unwrap_or([f64::NAN; 2]);
    Ok([
        used * 1e6 / requests,
        requests / said.seconds,
        half / 1e3,
        most / 1e3,
    ])
}

/// Opens connections, which a server that goes by their number spreads evenly, and closes every other one: whoever
/// had those has fewest then, and gets all that come next.
fn skew(door: &Door) -> Result<Vec<Client>> {
    let all = open(door, BEFORE)?;
    let held = all.into_iter().enumerate();
    Ok(held
        .filter_map(|(nth, client)| (nth % 2 == 0).then_some(client))
        .collect())
}

fn make(load: &Load, seconds: u32, at: SocketAddr) -> Result<Said> {
    let lasting = match load.tool {
        Tool::H2load => format!("-D{seconds}"),
        Tool::Wrk | Tool::Own => format!("-d{seconds}s"),
    };
    let mut command = Command::new(load.tool.name());
    command.args(load.arguments.split(' ')).arg(lasting);
    if load.fresh {
        command.args(["-H", "Connection: close"]);
    }
    command.arg(format!("http://{at}{}", load.target));
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("{} is needed", load.tool.name()))?;
    load.tool.read(&String::from_utf8_lossy(&output.stdout))
}
