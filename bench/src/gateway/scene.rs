//! [`Scene`]: servers, each gateway before them in its turn, and a load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Options;
use super::load::Load;
use super::sample::{Outcome, Samples};
use super::server::{Knobs, Server};
use super::spoken::Spoken;
use super::way::{Gone, Kind, Way};
use crate::compare::processor::{busy, on, spent};
use crate::peers::{Peer as _, Running};
use crate::site::Site;

/// How long a gateway may take until it gives the answer that all give.
const PATIENCE: Duration = Duration::from_secs(10);

/// Servers, and what gateways are told.
pub(super) struct Scene<'a> {
    pub(super) options: &'a Options,
    pub(super) site: Site,
    pub(super) servers: Vec<Server>,
    pub(super) spoken: Spoken,
    pub(super) tls: bool,
    /// Connections that are kept for each server, where that has to be said.
    pub(super) kept: u32,
    pub(super) gone: Gone,
}

/// A gateway under load.
pub(super) struct Stage {
    pub(super) gateway: Running,
    /// The gateway's processor time when the load began, and that of its core.
    before: (f64, f64),
    begun: Instant,
    core: usize,
}

/// What a load cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Seconds of the gateway's processor time.
    pub(super) used: f64,
    /// The part of its core that others used.
    pub(super) foreign: f64,
}

impl<'a> Scene<'a> {
    /// Starts the servers, each with its knobs.
    pub(super) fn set(
        options: &'a Options,
        spoken: Spoken,
        knobs: impl IntoIterator<Item = Knobs>,
    ) -> Result<Self> {
        let mut scene = Self {
            options,
            site: Site::new(1)?,
            servers: Vec::new(),
            spoken,
            tls: false,
            kept: 64,
            gone: Gone::Broken,
        };
        scene.serve(knobs)?;
        Ok(scene)
    }

    /// Starts more of them.
    pub(super) fn serve(&mut self, knobs: impl IntoIterator<Item = Knobs>) -> Result<()> {
        let started: Result<Vec<_>> = on(self.options.client_core, || {
            knobs.into_iter().map(Server::start).collect()
        });
        self.servers.extend(started?);
        Ok(())
    }

    /// A gateway, as it is to be configured.
    pub(super) fn way(&self, kind: Kind) -> Way {
        Way {
            kind,
            wharf: self.options.wharf.clone(),
            spoken: self.spoken,
            servers: self.servers.iter().map(|it| it.address).collect(),
            tls: self.tls,
            kept: self.kept,
            gone: self.gone,
        }
    }

    /// Starts a gateway; `None` if it is not installed.
    pub(super) fn start(&self, kind: Kind) -> Result<Option<Stage>> {
        let core = self.options.server_core;
        let way = self.way(kind);
        let running = on(core, || {
            Running::start(&way, &self.site, self.spoken.protocol())
        });
        let Some(gateway) = running.context(kind.name())? else {
            eprintln!("{}: not installed, left out", way.name());
            return Ok(None);
        };
        Ok(Some(Stage {
            before: (spent(gateway.pid())?, busy(core)?),
            begun: Instant::now(),
            gateway,
            core,
        }))
    }

    /// Waits until the answer is there that all give.
    pub(super) fn check(&self, at: SocketAddr) -> Result<()> {
        let begun = Instant::now();
        loop {
            let samples = self.load(at, vec![Duration::ZERO])?;
            if samples.0.iter().all(|it| it.outcome == Outcome::Answered) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("another answer: {:?}", samples.0);
            }
        }
    }

    /// Makes a load on the core that is for it.
    pub(super) fn load(&self, to: SocketAddr, arrivals: Vec<Duration>) -> Result<Samples> {
        let load = Load {
            to,
            spoken: self.spoken,
            arrivals,
        };
        on(self.options.client_core, || load.make())
    }
}

impl Stage {
    /// What counts begins here.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.before = (spent(self.gateway.pid())?, busy(self.core)?);
        self.begun = Instant::now();
        Ok(())
    }

    /// What it has cost since then.
    pub(super) fn cost(&self) -> Result<Cost> {
        let used = spent(self.gateway.pid())? - self.before.0;
        let all = busy(self.core)? - self.before.1;
        Ok(Cost {
            used,
            foreign: ((all - used) / self.begun.elapsed().as_secs_f64()).max(0.0),
        })
    }
}
