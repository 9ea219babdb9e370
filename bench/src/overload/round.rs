//! [`Round`]: one peer, through all phases.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Options;
use super::load::{in_turn, load};
use super::peer::Kind;
use super::seen::{Part, Seen};
use crate::compare::processor::{busy, on, spent};
use crate::gateway::arrivals::arrivals;
use crate::peers::Running;
use crate::site::Site;

/// What is asked for, as a part of what it can do.
pub(super) const QUIET: f64 = 0.1;
pub(super) const HALF: f64 = 0.5;
pub(super) const OVER: f64 = 2.0;
pub(super) const AFTER: f64 = 0.8;

/// How many ask in turn to find out what it can do, and for how long.
const ASKERS: usize = 4;
const ASKING: Duration = Duration::from_secs(5);

/// What is seen before a limit can have found its place; shown apart.
const SETTLE: u32 = 10;

/// One peer, through all phases.
pub(super) struct Round {
    pub(super) kind: Kind,
    /// What it can do without overload: answers a second to who asks in turn.
    pub(super) peak: f64,
    pub(super) seen: Vec<Seen>,
    /// The limit in each second, where there is one.
    pub(super) limits: Vec<f64>,
    /// The part of its core that others used.
    pub(super) foreign: f64,
    /// When each phase ends, in seconds: a tenth, a half, twice, four fifths.
    pub(super) ends: [u32; 4],
}

impl Round {
    /// Measures it; `None` if it is not installed.
    pub(super) fn made(options: &Options, site: &Site, kind: Kind) -> Result<Option<Self>> {
        let Some(servers) = on(options.server_core, || kind.start(site))? else {
            eprintln!("{}: not installed, left out", kind.name());
            return Ok(None);
        };
        let to = servers.last().context("nobody")?.address;
        let peak = on(options.client_core, || in_turn(to, ASKERS, ASKING))?;
        let around = options.around;
        let over = options.overload(kind);
        let ends = [around, 2 * around, 2 * around + over, 3 * around + over];
        let rate = |at: f64| {
            let times = [QUIET, HALF, OVER, AFTER];
            let phase = ends.iter().position(|end| at < f64::from(*end));
            peak * phase.map_or(0.0, |nth| times[nth])
        };
        let lasting = Duration::from_secs(ends[3].into());
        let all = arrivals(lasting, peak * OVER, rate, 1);
        let before = (used(&servers)?, busy(options.server_core)?);
        let begun = Instant::now();
        let (seen, limits) = on(options.client_core, || watched(kind, to, all))?;
        let own = used(&servers)? - before.0;
        let whole = busy(options.server_core)? - before.1;
        let round = Self {
            kind,
            peak,
            seen,
            limits,
            foreign: ((whole - own) / begun.elapsed().as_secs_f64()).max(0.0),
            ends,
        };
        let part = round.overloaded();
        eprintln!(
            "{}: {peak:.0}/s; twice that: {:.0} good, p99 {:.1} ms, {:.2} % of the critical; others {:.0} %",
            kind.name(),
            part.good,
            part.p99,
            part.critical,
            round.foreign * 100.0
        );
        Ok(Some(round))
    }

    /// What came of one phase.
    pub(super) fn phase(&self, nth: usize) -> Part {
        let from = if nth == 0 { 0 } else { self.ends[nth - 1] };
        Part::of(&self.seen, from, self.ends[nth])
    }

    /// Of the overload but its beginning.
    pub(super) fn overloaded(&self) -> Part {
        Part::of(&self.seen, self.settled(), self.ends[2])
    }

    /// Of the beginning of the overload.
    pub(super) fn settling(&self) -> Part {
        Part::of(&self.seen, self.ends[1], self.settled())
    }

    fn settled(&self) -> u32 {
        let over = self.ends[2] - self.ends[1];
        self.ends[1] + SETTLE.min(over / 2)
    }
}

/// Processor time of all of them.
fn used(servers: &[Running]) -> Result<f64> {
    servers.iter().map(|it| spent(it.pid())).sum()
}

/// Makes the load; and looks at the limit once a second, if there is one.
fn watched(kind: Kind, to: SocketAddr, all: Vec<Duration>) -> Result<(Vec<Seen>, Vec<f64>)> {
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut limits = Vec::new();
            let mut next = Instant::now();
            while kind == Kind::Limited && !ended.load(Ordering::Relaxed) {
                // One that was not told in time is a gap in the chart.
                limits.push(limit(to).unwrap_or(f64::NAN));
                next += Duration::from_secs(1);
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
            limits
        });
        let seen = load(to, all);
        ended.store(true, Ordering::Relaxed);
        let limits = looking.join().ok().context("it has panicked")?;
        Ok((seen?, limits))
    })
}

/// How many requests it lets in at a time.
fn limit(at: SocketAddr) -> Result<f64> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET /limit HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (_, body) = text.split_once("\r\n\r\n").context("no body")?;
    Ok(body.trim().parse()?)
}
