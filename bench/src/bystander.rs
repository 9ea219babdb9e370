//! What does a client feel while thousands of idle connections of others grow too old and are closed?
//!
//! All idle connections ask once and then nothing, so that their server closes them within about the time that it
//! took to ask. Meanwhile a few others ask as often as before; each request has a time at which it is to begin, and
//! how long it takes counts from then.

mod pace;

use std::path::PathBuf;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::client::Door;
use crate::compare::figures::{middle, sorted};
use crate::compare::processor::{on, spent};
use crate::descriptors::{self, raise_descriptors};
use crate::idle::{open, request};
use crate::peers::{self, Allocator, Peer, Running};
use crate::protocol::Protocol;
use crate::site::Site;
use crate::table::Table;
use pace::{Asked, ask, percentile};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many connections grow old.
    #[arg(long, default_value_t = 15_000)]
    connections: usize,
    /// With whom; all that close idle connections, if left out.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Seconds after which they are closed.
    #[arg(long, default_value_t = 10)]
    idle: u64,
    /// Requests a second of the others.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// How often all of it is done; the medians are shown.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// The binary of wharf.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/wharf"))]
    wharf: PathBuf,
    /// The core of the server.
    #[arg(long, default_value_t = 0)]
    server_core: usize,
    /// The core of the load.
    #[arg(long, default_value_t = 1)]
    client_core: usize,
}

/// Connections of those who go on asking.
const BYSTANDERS: u32 = 8;

/// Longer than any server is late to close what is too old.
const MARGIN: Duration = Duration::from_secs(3);

/// What came of one part of the time: p50, p99, p99.9 and the longest, in milliseconds; and seconds of the server's
/// processor for each second.
type Part = [f64; 5];

/// Measures, and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.rounds > 0 && options.rate >= BYSTANDERS,
        "nothing to do"
    );
    raise_descriptors()?;
    let mut site = Site::new(1)?;
    site.idle = options.idle;
    println!(
        "{} connections, closed after {} s; {} requests a second on {BYSTANDERS} others, in milliseconds.\n",
        options.connections, options.idle, options.rate
    );
    let table = Table::begin(&[
        "", "p50", "p99", "p99.9", "longest", "core", "p50", "p99", "p99.9", "longest", "core",
        "left",
    ]);
    for peer in peers::all(Allocator::Glibc, options.wharf.clone()) {
        let wanted = options.peers.is_empty() || options.peers.iter().any(|it| it == peer.name());
        if !wanted || !peer.ages() {
            continue;
        }
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            rounds.extend(measure(&*peer, &site, options).context(peer.name())?);
        }
        if rounds.is_empty() {
            eprintln!("{}: not installed, left out", peer.name());
            continue;
        }
        let median = |of: &dyn Fn(&Round) -> f64| middle(&sorted(rounds.iter().map(of)));
        let mut cells = vec![peer.name().to_owned()];
        for part in [0, 1] {
            for figure in 0..4 {
                cells.push(format!("{:.2}", median(&|it| it.parts[part][figure])));
            }
            cells.push(format!("{:.0} %", median(&|it| it.parts[part][4]) * 100.0));
        }
        let left = rounds.iter().map(|it| it.left).max().unwrap_or(0);
        cells.push(left.to_string());
        table.row(&cells);
    }
    Ok(())
}

/// One server, once.
struct Round {
    /// While nobody was too old, and while they were closed.
    parts: [Part; 2],
    /// Connections that were not closed.
    left: usize,
}

/// `None` if it is not installed.
fn measure(peer: &dyn Peer, site: &Site, options: &Options) -> Result<Option<Round>> {
    let started = on(options.server_core, || {
        Running::start(peer, site, Protocol::Http1)
    })?;
    match started {
        Some(server) => on(options.client_core, || load(&server, site, options)).map(Some),
        None => Ok(None),
    }
}

fn load(server: &Running, site: &Site, options: &Options) -> Result<Round> {
    let protocol = Protocol::Http1;
    let door = Door {
        address: server.address,
        protocol,
        tls: site.client(protocol)?,
    };
    let idle = Duration::from_secs(site.idle);
    let mut all = open(&door, options.connections)?;
    let first = Instant::now();
    request(&mut all, 1)?;
    let last = Instant::now();
    // Before the first is too old, and until the last is gone.
    let parts = [
        (last + Duration::from_millis(500), first + idle),
        (first + idle, last + idle + MARGIN),
    ];
    ensure!(parts[0].0 < parts[0].1, "all were not asked in {idle:?}");
    let every = Duration::from_secs(1) * BYSTANDERS / options.rate;
    let asking: Vec<_> = (0..BYSTANDERS)
        .map(|nth| {
            let mut client = door.connect(0)?;
            client.greet()?;
            let from = parts[0].0 + every * nth / BYSTANDERS;
            Ok(spawn(move || ask(client, from, parts[1].1, every)))
        })
        .collect::<Result<_>>()?;
    let mut spent_at = Vec::new();
    for at in [parts[0].0, parts[0].1, parts[1].1] {
        sleep(at.saturating_duration_since(Instant::now()));
        spent_at.push(spent(server.pid())?);
    }
    let mut asked = Vec::new();
    for one in asking {
        asked.extend(one.join().ok().context("a client has panicked")??);
    }
    let left = descriptors::sockets(server.pid())?;
    drop(all);
    let figures = |nth: usize| {
        let (from, to) = parts[nth];
        let used = (spent_at[nth + 1] - spent_at[nth]) / (to - from).as_secs_f64();
        part(&asked, from, to, used)
    };
    Ok(Round {
        parts: [figures(0), figures(1)],
        left,
    })
}

fn part(asked: &[Asked], from: Instant, to: Instant, used: f64) -> Part {
    let mut some: Vec<_> = asked
        .iter()
        .filter(|it| (from..to).contains(&it.intended))
        .map(|it| it.took)
        .collect();
    some.sort_unstable();
    let [half, most, nearly_all, longest] =
        [50.0, 99.0, 99.9, 100.0].map(|percent| percentile(&some, percent));
    [half, most, nearly_all, longest, used]
}
