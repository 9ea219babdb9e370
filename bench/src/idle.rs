//! How much memory does a connection hold on which nothing happens?
//!
//! The resident bytes of the server's process are read before any connection is open, when all are
//! open and silent, after one request on each, after three, and when they have been closed for a while.

use std::path::PathBuf;
use std::thread::sleep;

use anyhow::{Context as _, Result};

use crate::client::{Client, Door};
use crate::descriptors::raise_descriptors;
use crate::memory::resident;
use crate::peers::{self, Allocator, Peer, Running};
use crate::protocol::Protocol;
use crate::site::Site;
use crate::table::Table;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many connections are open.
    #[arg(long, default_value_t = 3000)]
    connections: usize,
    /// With whom; all, if left out.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// What is spoken; everything, if left out.
    #[arg(long, value_delimiter = ',')]
    protocols: Vec<Protocol>,
    /// What the peers in Rust allocate with.
    #[arg(long, value_enum, default_value = "glibc")]
    allocator: Allocator,
    /// The binary of wharf, which should have the same allocator.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/wharf"))]
    wharf: PathBuf,
    /// Threads of each server that has any.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// How long nothing happens before memory is read.
    #[arg(long, default_value = "3s")]
    rest: humantime::Duration,
    /// How long the connections have been closed when memory is read for the last time.
    #[arg(long, default_value = "5s")]
    after: humantime::Duration,
    /// How often all of it is done; the medians are shown.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

/// Connections that are opened, and requests that are sent, before the first answer is read.
const AT_ONCE: usize = 64;

/// The requests on each connection after which memory is read.
const REQUESTS: [usize; 2] = [1, 2];

/// Bytes for each connection: fresh, after one request, after three, and after the end.
type Figures = [i64; 4];

/// Measures, and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    raise_descriptors()?;
    let site = Site::new(options.workers)?;
    let peers = peers::all(options.allocator, options.wharf.clone());
    let wanted = |peer: &dyn Peer| {
        options.peers.is_empty() || options.peers.iter().any(|name| name == peer.name())
    };
    println!(
        "{} connections, {} with {} workers; bytes of resident memory for each connection.\n",
        options.connections,
        options.allocator.name(),
        options.workers
    );
    let table = Table::begin(&[
        "",
        "fresh",
        "of hyper",
        "one request",
        "of hyper",
        "three",
        "of hyper",
        "closed",
    ]);
    for protocol in Protocol::ALL {
        if !options.protocols.is_empty() && !options.protocols.contains(&protocol) {
            continue;
        }
        let mut measure = None;
        for peer in peers.iter().filter(|peer| wanted(&***peer)) {
            if !peer.speaks(protocol) {
                continue;
            }
            let Some(figures) = median(&**peer, &site, protocol, options)
                .with_context(|| format!("{} with {}", peer.name(), protocol.name()))?
            else {
                let program = peer.program();
                eprintln!(
                    "{}: {} is not there, left out",
                    peer.name(),
                    program.display()
                );
                continue;
            };
            // The first is the one that the others are measured by.
            let by = *measure.get_or_insert(figures);
            table.row(&row(&**peer, protocol, figures, by));
        }
    }
    Ok(())
}

fn row(peer: &dyn Peer, protocol: Protocol, figures: Figures, by: Figures) -> Vec<String> {
    let [fresh, one, three, left] = figures;
    let mut cells = vec![format!("{}, {}", protocol.name(), peer.name())];
    for (mine, theirs) in [fresh, one, three].into_iter().zip(by) {
        #[expect(clippy::cast_precision_loss, reason = "a ratio of bytes, to be read")]
        let ratio = mine as f64 / theirs as f64;
        cells.extend([mine.to_string(), format!("{ratio:.2}")]);
    }
    cells.push(left.to_string());
    cells
}

/// `None` if the peer is not installed.
fn median(
    peer: &dyn Peer,
    site: &Site,
    protocol: Protocol,
    options: &Options,
) -> Result<Option<Figures>> {
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let Some(server) = Running::start(peer, site, protocol)? else {
            return Ok(None);
        };
        rounds.push(measure(&server, site, protocol, options)?);
    }
    let middle = |column: usize| {
        let mut column: Vec<_> = rounds.iter().map(|figures| figures[column]).collect();
        column.sort_unstable();
        column[column.len() / 2]
    };
    Ok(Some([middle(0), middle(1), middle(2), middle(3)]))
}

fn measure(
    server: &Running,
    site: &Site,
    protocol: Protocol,
    options: &Options,
) -> Result<Figures> {
    let door = Door {
        address: server.address,
        protocol,
        tls: site.client(protocol)?,
    };
    // Whatever is made once, when it is first needed, is there before.
    let mut first = open(&door, AT_ONCE)?;
    request(&mut first, 3)?;
    drop(first);
    sleep(options.rest.into());
    let before = resident(server.pid())?;
    let each =
        |bytes: i64| -> Result<i64> { Ok((bytes - before) / i64::try_from(options.connections)?) };

    let mut clients = open(&door, options.connections)?;
    sleep(options.rest.into());
    let fresh = each(resident(server.pid())?)?;
    let mut after = [0; REQUESTS.len()];
    for (figure, requests) in after.iter_mut().zip(REQUESTS) {
        request(&mut clients, requests)?;
        sleep(options.rest.into());
        *figure = each(resident(server.pid())?)?;
    }
    drop(clients);
    sleep(options.after.into());
    let left = each(resident(server.pid())?)?;
    Ok([fresh, after[0], after[1], left])
}

/// So many connections, open and greeted.
pub(crate) fn open(door: &Door, count: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let begun = clients.len();
        for nth in begun..count.min(begun + AT_ONCE) {
            clients.push(door.connect(nth)?);
        }
        for client in &mut clients[begun..] {
            client.greet()?;
        }
    }
    Ok(clients)
}

/// Asks on each so often.
pub(crate) fn request(clients: &mut [Client], times: usize) -> Result<()> {
    for _ in 0..times {
        for some in clients.chunks_mut(AT_ONCE) {
            for client in some.iter_mut() {
                client.ask()?;
            }
            for client in some {
                client.hear()?;
            }
        }
    }
    Ok(())
}
