//! The configuration file: what was written, and what it means.
//!
//! A file becomes [`written::Written`], a tree with places, and is decoded section by section; every
//! problem is noted in one [`report::Report`], so that a file is refused with all of its faults at
//! once. Which keys there are, their defaults and their meaning come from the tables of settings
//! (`groups.rs` here, and those of the libraries). A change by the admin API takes the same path.

mod admin;
mod difference;
mod discovery;
mod discovery_word;
mod effective;
mod endpoint;
mod endpoint_file;
mod fields;
mod file;
mod forward;
#[cfg(test)]
mod gateway_tests;
mod groups;
mod guarantees;
mod listener;
mod notation;
mod otel;
mod pools;
mod report;
mod route;
mod section;
mod source;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod upstream;
mod upstream_tls;
mod word;
mod written;

pub(crate) use admin::AdminConfig;
pub(crate) use difference::{Changed, differences};
pub(crate) use discovery::{DiscoveryConfig, SourceConfig};
pub(crate) use effective::effective;
pub(crate) use endpoint_file::read_endpoint_file;
pub(crate) use fields::FieldChanges;
pub(crate) use file::{Refused, load};
pub(crate) use forward::{Forward, ForwardSettings, RouteTimeout, UpstreamHost};
pub(crate) use groups::{
    LogSettings, ProcessLimits, RequestLimits, ServerSettings, SourcePriorities,
};
pub(crate) use guarantees::overcommitted;
pub(crate) use listener::ListenerConfig;
pub(crate) use otel::OtelConfig;
#[cfg(feature = "otel")]
pub(crate) use otel::{OtelProtocol, Share, Signal};
pub(crate) use pools::{PoolSettings, change_of};
pub(crate) use report::{Problem, Problems};
pub(crate) use route::{HTTPS, Route, Target};
pub(crate) use source::Sources;
pub(crate) use tls::TlsConfig;
pub(crate) use token::Token;
pub(crate) use upstream::{UpstreamConfig, UpstreamPool};
pub(crate) use word::{AdminAddress, Again, Auto, LimitMode, LogFormat, Priority};
pub(crate) use written::Written;

use std::path::Path;

use toml::de::DeTable;
use wharf_http::Http2Settings;
use wharf_pool::config::{Applies, Patch, Settings};
use wharf_pool::{ListenerName, PoolName};

use listener::{named, read_listeners};
use pools::BasePools;
use report::{Origins, Read, Report};
use route::{Doors, read_routes};
use section::Section;
use upstream::read_upstreams;

/// What a process does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// The process and its end.
    pub(crate) server: ServerSettings,
    /// The door for operators.
    pub(crate) admin: AdminConfig,
    /// What is written, and how.
    pub(crate) log: LogSettings,
    /// The limits of the process.
    pub(crate) limits: ProcessLimits,
    /// How many requests are worked on at a time.
    pub(crate) requests: RequestLimits,
    /// How important requests of whole networks are.
    pub(crate) priorities: SourcePriorities,
    /// Where traces and figures are sent.
    pub(crate) otel: OtelConfig,
    /// What pools start from.
    base: BasePools,
    /// Every listener.
    pub(crate) listeners: Vec<ListenerConfig>,
    /// Every upstream.
    pub(crate) upstreams: Vec<UpstreamConfig>,
    /// Every route, the first to be asked first.
    pub(crate) routes: Vec<Route>,
    /// Where the settings were written.
    origins: Origins,
    /// The files that it was read from.
    pub(crate) sources: Sources,
}

/// The demo's file.
const DEMO: &str = include_str!("config/demo.toml");

impl Config {
    /// What `wharf` does without a file.
    ///
    /// # Errors
    ///
    /// None in practice: the demo's file is part of the program, and a test reads it.
    pub(crate) fn demo() -> Result<Self, Problems> {
        let config = Self::parse(DEMO, Path::new("."))?;
        Ok(Self {
            origins: Origins::default(),
            ..config
        })
    }

    /// Reads a whole file; `folder` is what paths in it are relative to.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn parse(source: &str, folder: &Path) -> Result<Self, Problems> {
        let mut report = Report::default();
        let (table, errors) = DeTable::parse_recoverable(source);
        if !errors.is_empty() {
            // What follows a fault in the notation is guesswork, so only the notation is told; but a
            // key that is there twice spoils nothing else.
            let only_repeated = errors.iter().all(notation::is_repetition);
            for error in &errors {
                report.push(notation::problem(source, error));
            }
            if !only_repeated {
                return report.finish(()).and_then(|_| Err(empty()));
            }
        }
        let written = Written::from_toml(&table);
        let config = Section::open(&written, "", &mut report)
            .map(|top| Self::read(top, folder, &mut report));
        let Read {
            value: config,
            origins,
            sources,
        } = report.finish(config)?;
        let origins = origins.into_lines(source);
        let config = config.map(|config| Self {
            origins,
            sources,
            ..config
        });
        config.ok_or_else(empty)
    }

    fn read(mut top: Section<'_>, folder: &Path, report: &mut Report) -> Self {
        let server = settings(&mut top, "server", report);
        let admin = AdminConfig::read(&mut top, folder, report);
        let log = settings(&mut top, "log", report);
        let (limits, requests, priorities) = read_limits(&mut top, report);
        let otel = OtelConfig::read(&mut top, folder, report);
        let pools = top.section("pools", report);
        let base = BasePools::read(pools, report);
        let sections = top.sections("listener", report);
        if sections.is_empty() {
            let remedy = "write [[listener]] with name, address and protocols";
            report.problem(
                0,
                "listener",
                "without a listener nothing is served",
                remedy,
            );
        }
        let names = named(&sections);
        let listeners = read_listeners(sections, &base, folder, report);
        check_guarantees(&limits, &listeners, report);
        let sections = top.sections("upstream", report);
        let upstream_names = named(&sections);
        let upstreams = read_upstreams(sections, &names, folder, report);
        let doors = Doors {
            names: &names,
            listeners: &listeners,
            upstreams: &upstream_names,
        };
        let routes = read_routes(top.sections("route", report), &doors, report);
        top.finish(report);
        let (origins, sources) = (Origins::default(), Sources::default());
        Self {
            server,
            admin,
            log,
            limits,
            requests,
            priorities,
            otel,
            base,
            listeners,
            upstreams,
            routes,
            origins,
            sources,
        }
    }

    /// The same, with the values of `now` where a change needs a restart.
    pub(crate) fn keeping(&self, now: &Self) -> Self {
        let mut kept = self.clone();
        kept.server = keep(&self.server, &now.server);
        kept.log = keep(&self.log, &now.log);
        kept.limits = keep(&self.limits, &now.limits);
        if self.admin.settings.address == now.admin.settings.address {
            kept.admin.settings = keep(&self.admin.settings, &now.admin.settings);
        } else {
            // Who may ask was decided for the address that it is to have.
            kept.admin = now.admin.clone();
        }
        kept
    }

    /// The listener of that name.
    pub(crate) fn listener(&self, name: &ListenerName) -> Option<&ListenerConfig> {
        self.listeners
            .iter()
            .find(|listener| listener.name == *name)
    }

    /// Notes what a pool has become.
    pub(crate) fn note_pool(&mut self, name: &PoolName, config: &PoolSettings) {
        let listeners = self.listeners.iter_mut();
        let pools = listeners
            .filter(|listener| listener.name == *name.listener())
            .flat_map(|listener| &mut listener.pools);
        for (protocol, pool) in pools {
            if protocol.as_str() == name.protocol() {
                pool.clone_from(config);
            }
        }
    }

    /// The same of the pool of an upstream.
    pub(crate) fn note_upstream_pool(&mut self, name: &PoolName, config: &UpstreamPool) {
        let mut upstreams = self.upstreams.iter_mut();
        if let Some(upstream) = upstreams.find(|it| it.name == *name.listener()) {
            upstream.pool.clone_from(config);
        }
    }

    /// How HTTP/2's frames are spoken on listeners that have no pool for it, but one for gRPC.
    pub(crate) fn http2(&self) -> Http2Settings {
        self.base.http2()
    }

    /// The routes of one listener, with the one that is there without any.
    pub(crate) fn routes_of(&self, listener: &ListenerName) -> Vec<Route> {
        if self.routes.is_empty() {
            return vec![Route::everything_to_demo()];
        }
        let secured = self.listener(listener).is_some_and(|it| it.tls.is_some());
        let of_it = |route: &&Route| {
            let here = route.listener.as_ref().is_none_or(|name| name == listener);
            here && !(secured && matches!(route.target, Target::Redirect { .. }))
        };
        self.routes.iter().filter(of_it).cloned().collect()
    }
}

fn settings<S: Settings>(top: &mut Section<'_>, name: &'static str, report: &mut Report) -> S {
    let Some(mut section) = top.section(name, report) else {
        return S::default();
    };
    let settings = section.settings(&S::default(), report);
    section.finish(report);
    settings
}

/// `next` with the values of `now` where a change needs a restart.
fn keep<S: Settings>(next: &S, now: &S) -> S {
    let mut patch = next.patch();
    let values = now.values().into_iter();
    for (key, value) in values.filter(|(key, _)| key.applies == Applies::Restart) {
        // What a setting has written, it reads.
        patch.set(key.name, &value).ok();
    }
    let mut kept = next.clone();
    kept.apply(&patch);
    kept
}

fn read_limits(
    top: &mut Section<'_>,
    report: &mut Report,
) -> (ProcessLimits, RequestLimits, SourcePriorities) {
    let Some(mut section) = top.section("limits", report) else {
        return <_>::default();
    };
    let (requests, priorities) = read_requests(&mut section, report);
    let limits = section.settings(&ProcessLimits::default(), report);
    section.finish(report);
    (limits, requests, priorities)
}

fn read_requests(
    limits: &mut Section<'_>,
    report: &mut Report,
) -> (RequestLimits, SourcePriorities) {
    let Some(mut section) = limits.section("requests", report) else {
        return <_>::default();
    };
    let priorities = settings(&mut section, "sources", report);
    let requests = section.settings(&RequestLimits::default(), report);
    section.finish(report);
    (requests, priorities)
}

/// Whether more is guaranteed than there is; what the machine has room for is known when it serves.
fn check_guarantees(limits: &ProcessLimits, listeners: &[ListenerConfig], report: &mut Report) {
    let limit = match limits.max_connections {
        Auto::Found => None,
        Auto::Set(count) => Some(count),
    };
    if let Some(problem) = overcommitted(limit, listeners) {
        let base = problem.key.split_once('.').map(|(_, base)| base);
        let at = report.accepted(&problem.key);
        let at = at.or_else(|| report.accepted(base.unwrap_or_default()));
        report.push(Problem {
            at: at.unwrap_or(0),
            ..problem
        });
    }
}

fn empty() -> Problems {
    Problems::whole("there is no configuration in it", "see wharf.example.toml")
}
