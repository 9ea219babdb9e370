//! The configuration file: what was written, and what it means.
//!
//! A file becomes [`written::Written`], a tree with places, and is decoded section by section; every
//! problem is noted in one [`report::Report`], so that a file is refused with all of its faults at
//! once. Which keys there are, their defaults and their meaning come from the tables of settings
//! (`groups.rs` here, and those of the libraries). A change by the admin API takes the same path.

mod difference;
mod effective;
mod file;
mod groups;
mod listener;
mod pools;
mod report;
mod route;
mod section;
mod source;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod word;
mod written;

pub(crate) use difference::{Changed, differences};
pub(crate) use effective::effective;
pub(crate) use file::{Refused, load};
pub(crate) use groups::{LogSettings, ProcessLimits, ServerSettings};
pub(crate) use listener::ListenerConfig;
pub(crate) use pools::{PoolChange, PoolSettings, change_of};
pub(crate) use report::{Problem, Problems};
pub(crate) use route::{Route, Target};
pub(crate) use source::Sources;
pub(crate) use token::Token;
pub(crate) use word::{AdminAddress, Auto, LogFormat};
pub(crate) use written::Written;

use std::net::SocketAddr;
use std::path::Path;

use toml::de::DeTable;
use wharf_http::Http2Settings;
use wharf_pool::config::{Applies, Patch, Settings};
use wharf_pool::{ListenerName, PoolName};

use groups::AdminSettings;
use listener::read_listeners;
use pools::BasePools;
use report::{Origins, Read, Report};
use route::read_routes;
use section::Section;

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
    /// What pools start from.
    base: BasePools,
    /// Every listener.
    pub(crate) listeners: Vec<ListenerConfig>,
    /// Every route, the first to be asked first.
    pub(crate) routes: Vec<Route>,
    /// Where the settings were written.
    origins: Origins,
    /// The files that it was read from.
    pub(crate) sources: Sources,
}

/// The admin API as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AdminConfig {
    /// Its settings.
    pub(crate) settings: AdminSettings,
    /// What requests must bear, if anything.
    pub(crate) token: Option<Token>,
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
            // What follows a fault in the notation is guesswork, so only the notation is told.
            for error in errors {
                let at = error.span().map_or(0, |span| span.start);
                let reason = format!("this is not TOML: {}", report::cut(error.message()));
                report.problem(at, "", reason, "see https://toml.io for the notation");
            }
            return report.finish(()).and_then(|_| Err(empty()));
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
        let limits = read_limits(&mut top, report);
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
        let listeners = read_listeners(sections, &base, folder, report);
        let names: Vec<ListenerName> = listeners.iter().map(|l| l.name.clone()).collect();
        let routes = read_routes(top.sections("route", report), &names, report);
        top.not_yet("upstream", report);
        top.finish(report);
        let (origins, sources) = (Origins::default(), Sources::default());
        Self {
            server,
            admin,
            log,
            limits,
            base,
            listeners,
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

    /// How HTTP/2's frames are spoken on listeners that have no pool for it, but one for gRPC.
    pub(crate) fn http2(&self) -> Http2Settings {
        self.base.http2()
    }

    /// The routes of one listener, with the one that is there without any.
    pub(crate) fn routes_of(&self, listener: &ListenerName) -> Vec<Route> {
        if self.routes.is_empty() {
            return vec![Route::everything_to_demo()];
        }
        let of_it = |route: &&Route| route.listener.as_ref().is_none_or(|name| name == listener);
        self.routes.iter().filter(of_it).cloned().collect()
    }
}

impl AdminConfig {
    fn read(top: &mut Section<'_>, folder: &Path, report: &mut Report) -> Self {
        let Some(mut section) = top.section("admin", report) else {
            return Self {
                settings: AdminSettings::default(),
                token: None,
            };
        };
        section.not_yet("tls", report);
        let settings = section.settings(&AdminSettings::default(), report);
        let (at, path) = (section.at(), section.path("token_file"));
        section.finish(report);
        let token = settings.token_file.as_ref().and_then(|file| {
            let file = folder.join(&file.0);
            let token = report.read(&file).and_then(Token::new);
            token
                .map_err(|problem| {
                    let reason = format!("{}: {problem}", file.display());
                    let remedy =
                        "write the path of a file that holds a token of at least 16 characters";
                    report.problem(at, path.as_str(), reason, remedy);
                })
                .ok()
        });
        let open = |address: SocketAddr| !address.ip().to_canonical().is_loopback();
        if let AdminAddress::Tcp(address) = settings.address
            && open(address)
            && settings.token_file.is_none()
        {
            let reason = format!("{address} can be reached from outside, so requests need a token");
            let remedy = "write token_file = \"…\" in [admin], or a loopback or unix address";
            report.problem(at, path, reason, remedy);
        }
        Self { settings, token }
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

fn read_limits(top: &mut Section<'_>, report: &mut Report) -> ProcessLimits {
    let Some(mut section) = top.section("limits", report) else {
        return ProcessLimits::default();
    };
    section.not_yet("memory", report);
    let limits = section.settings(&ProcessLimits::default(), report);
    section.finish(report);
    limits
}

fn empty() -> Problems {
    Problems::whole("there is no configuration in it", "see wharf.example.toml")
}
