//! [`Round`]: one server, loaded once.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Options;
use super::check::check;
use super::load::Load;
use super::processor::{busy, on, spent};
use super::tool::{Said, Tool};
use super::{echo, handshake};
use crate::peers::{Peer, Running};
use crate::site::Site;
use crate::work::Work;

/// Seconds of load before the server is measured: whatever is made once is made by then, and code that is
/// compiled as it runs has been.
const WARM_UP: u32 = 1;

/// A round is disturbed if others used more than this of the server's core.
pub(super) const QUIET: f64 = 0.10;

/// What one server did under one load.
pub(super) struct Round {
    /// Microseconds of the server's processor time for each request.
    pub(super) cost: f64,
    /// Requests a second.
    pub(super) rate: f64,
    /// The part of its core that the server used.
    pub(super) share: f64,
    /// The part of its core that others used.
    pub(super) foreign: f64,
    /// Microseconds that half of the answers took at most, and 99 of 100.
    pub(super) latency: Option<[f64; 2]>,
    /// Requests without the answer that they should have.
    pub(super) failed: u64,
}

/// Starts a server, and measures it; `None` if it is not installed.
pub(super) fn run(
    peer: &dyn Peer,
    site: &Site,
    load: &Load,
    options: &Options,
) -> Result<Option<Round>> {
    let core = options.server_core;
    let started = on(core, || Running::start(peer, site, load.protocol))?;
    let Some(server) = started else {
        return Ok(None);
    };
    check(load, site, &server).context("before")?;
    make(load, WARM_UP, site, &server, options)?;
    let mut round = measure(load, site, &server, options)?;
    for _ in 0..options.again {
        if round.foreign <= QUIET {
            break;
        }
        let other = measure(load, site, &server, options)?;
        if other.foreign < round.foreign {
            round = other;
        }
    }
    check(load, site, &server).context("after")?;
    Ok(Some(round))
}

fn measure(load: &Load, site: &Site, server: &Running, options: &Options) -> Result<Round> {
    let core = options.server_core;
    let before = (spent(server.pid())?, busy(core)?);
    let said = make(load, options.seconds, site, server, options)?;
    let used = spent(server.pid())? - before.0;
    let all = busy(core)? - before.1;
    ensure!(said.requests > 0, "nothing was answered");
    let wanted = said.requests * load.work.answer().len() as u64;
    ensure!(
        said.bytes.is_none_or(|bytes| bytes >= wanted),
        "shorter answers than those that all give"
    );
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds' requests")]
    let requests = (said.requests * load.work.units()) as f64;
    Ok(Round {
        cost: used * 1e6 / requests,
        rate: requests / said.seconds,
        share: used / said.seconds,
        // Ticks of two kinds: their difference may be a little less than nothing.
        foreign: ((all - used) / said.seconds).max(0.0),
        latency: said.latency,
        failed: said.failed,
    })
}

fn make(
    load: &Load,
    seconds: u32,
    site: &Site,
    server: &Running,
    options: &Options,
) -> Result<Said> {
    let (at, clients) = (server.address, load.connections);
    let lasting = Duration::from_secs(seconds.into());
    on(options.client_core, || match load.work {
        Work::Echo(length) => echo::make(length, clients, lasting, at),
        Work::Handshake { resumed } => handshake::make(site, resumed, clients, lasting, at),
        _ => {
            let tool = Tool::of(load);
            let mut command = tool.command(load, seconds, at);
            command.stdin(Stdio::null()).stderr(Stdio::null());
            // What it sends is in files there.
            command.current_dir(site.folder());
            let output = command.output();
            let output = output.with_context(|| format!("{} is needed", tool.name()))?;
            tool.read(&String::from_utf8_lossy(&output.stdout))
        }
    })
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} us a request, {:.0} a second, {:.0} % of its core, others {:.0} %, {} failed",
            self.cost,
            self.rate,
            self.share * 100.0,
            self.foreign * 100.0,
            self.failed
        )
    }
}
