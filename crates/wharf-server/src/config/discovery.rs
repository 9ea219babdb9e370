//! `[upstream.discovery]`: where endpoints are found while wharf runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wharf_pool::config::Settings;
use wharf_pool::settings;
use wharf_upstream::{Credentials, Scheme};

use super::discovery_word::{Members, Port, Prefix, Servers, Spoken, User, WholeName};
use super::report::Report;
use super::section::Section;
use super::upstream::Group;
use super::upstream_tls::{UpstreamTls, read_tls};
use super::word::{Auto, FilePath};

/// Where the endpoints of an upstream are found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DiscoveryConfig {
    /// What is the same for every source.
    pub(crate) settings: DiscoverySettings,
    /// Who is asked.
    pub(crate) source: SourceConfig,
}

/// Who is asked for endpoints.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SourceConfig {
    /// The keys of an etcd.
    Etcd {
        /// Which.
        settings: EtcdSettings,
        /// As whom.
        credentials: Option<Credentials>,
        /// How TLS is spoken to it, if it is.
        tls: Option<UpstreamTls>,
    },
    /// Servers of names.
    Dns(DnsSettings),
    /// A file.
    File {
        /// As it was written.
        settings: FileSettings,
        /// Where it is.
        path: PathBuf,
    },
}

settings! {
    /// `[upstream.discovery]`: what is the same for every source.
    pub struct DiscoverySettings, DiscoveryPatch {
        /// What the endpoints speak, all of them; "auto": as the first of endpoints does, else http.
        scheme: Auto<Spoken> = Auto::Found, NextConnection;
        /// Whether nobody is asked any more when the source has no endpoint; the last ones are kept otherwise.
        allow_empty: bool = false, Now;
    }
}

settings! {
    /// `[upstream.discovery.etcd]`: the keys of an etcd below a prefix.
    pub struct EtcdSettings, EtcdPatch {
        /// The members of the cluster, asked one after the other: http, or https with TLS.
        endpoints: Members = Members(Vec::new()), Now;
        /// What the keys of the endpoints begin with.
        prefix: Prefix = Prefix(String::new()), Now;
        /// Who asks, where etcd wants to know; with password_file.
        user: Option<User> = None, Now;
        /// A file with the password, or env:NAME.
        password_file: Option<FilePath> = None, Now;
    }
}

settings! {
    /// `[upstream.discovery.dns]`: a name, looked up when its time to live is over.
    pub struct DnsSettings, DnsPatch {
        /// The whole name.
        name: WholeName = WholeName(String::new()), Now;
        /// With a port the addresses of the name are the endpoints; off: its services (SRV).
        port: Option<Port> = None, Now;
        /// Who is asked; "auto": whom /etc/resolv.conf names.
        servers: Auto<Servers> = Auto::Found, Now;
        /// How soon it is asked again at the earliest.
        min_ttl: Duration = Duration::from_secs(1), Now;
        /// How late at the latest.
        max_ttl: Duration = Duration::from_mins(5), Now;
    }
}

settings! {
    /// `[upstream.discovery.file]`: a file that is watched.
    pub struct FileSettings, FilePatch {
        /// Which; what is in it is written as `endpoints` is here.
        path: FilePath = FilePath(PathBuf::new()), Now;
    }
}

impl DiscoveryConfig {
    /// What the endpoints speak, where `configured` is what those of the configuration do.
    pub(crate) fn scheme(&self, configured: Option<Scheme>) -> Scheme {
        match self.settings.scheme {
            Auto::Set(Spoken(scheme)) => scheme,
            Auto::Found => configured.unwrap_or(Scheme::Http),
        }
    }

    /// Its sections.
    pub(super) fn groups(&self) -> [Group<'_>; 2] {
        let own = Group {
            name: "discovery",
            values: self.settings.values(),
            tls: None,
        };
        let source = match &self.source {
            SourceConfig::Etcd { settings, tls, .. } => Group {
                name: "discovery.etcd",
                values: settings.values(),
                tls: tls.as_ref(),
            },
            SourceConfig::Dns(settings) => Group {
                name: "discovery.dns",
                values: settings.values(),
                tls: None,
            },
            SourceConfig::File { settings, .. } => Group {
                name: "discovery.file",
                values: settings.values(),
                tls: None,
            },
        };
        [own, source]
    }
}

const REMEDY: &str = "write [upstream.discovery.etcd] with endpoints and prefix, \
                      [upstream.discovery.dns] with name, or [upstream.discovery.file] with path";

/// Reads the section; paths in it are relative to `folder`.
pub(super) fn read_discovery(
    mut section: Section<'_>,
    folder: &Path,
    report: &mut Report,
) -> Option<DiscoveryConfig> {
    let settings = section.settings(&DiscoverySettings::default(), report);
    let (at, path) = (section.at(), section.path(""));
    let path = path.trim_end_matches('.').to_owned();
    let etcd = section.section("etcd", report);
    let dns = section.section("dns", report);
    let file = section.section("file", report);
    section.finish(report);
    let source = match (etcd, dns, file) {
        (Some(etcd), None, None) => read_etcd(etcd, folder, report)?,
        (None, Some(dns), None) => read_dns(dns, report)?,
        (None, None, Some(file)) => read_file(file, folder, report)?,
        (None, None, None) => {
            let reason = "it does not say where endpoints are found";
            report.problem(at, path, reason, REMEDY);
            return None;
        }
        _ => {
            let reason = "endpoints are found in one place";
            report.problem(at, path, reason, "leave the others out");
            return None;
        }
    };
    Some(DiscoveryConfig { settings, source })
}

fn read_etcd(mut section: Section<'_>, folder: &Path, report: &mut Report) -> Option<SourceConfig> {
    let (at, path) = (section.at(), section.path(""));
    let whole = has(
        &section,
        "endpoints",
        "endpoints = [\"http://127.0.0.1:2379\"]",
        report,
    ) & has(&section, "prefix", "prefix = \"/services/api/\"", report);
    let settings = section.settings(&EtcdSettings::default(), report);
    let credentials = read_credentials(&settings, &section, folder, report);
    let secured = settings
        .endpoints
        .0
        .iter()
        .any(|it| it.scheme() == Scheme::Https);
    let tls = if section.peek("tls").is_some() {
        read_tls(&mut section, folder, report)
    } else {
        section.take("tls");
        None
    };
    let tls = if secured && tls.is_none() {
        let system = UpstreamTls::of_system().map_err(|why| {
            report.problem(at, path, why, "write tls = { ca = \"ca.crt\" }");
        });
        system.ok()
    } else {
        tls
    };
    section.finish(report);
    whole.then_some(())?;
    Some(SourceConfig::Etcd {
        settings,
        credentials: credentials.ok()?,
        tls,
    })
}

/// Whether a key is there that has no default.
fn has(section: &Section<'_>, key: &str, remedy: &str, report: &mut Report) -> bool {
    let there = section.peek(key).is_some();
    if !there {
        let remedy = format!("write {remedy}");
        report.problem(
            section.at(),
            section.path(key),
            "this key is missing",
            remedy,
        );
    }
    there
}

/// A problem that has been told.
struct Told;

fn read_credentials(
    settings: &EtcdSettings,
    section: &Section<'_>,
    folder: &Path,
    report: &mut Report,
) -> Result<Option<Credentials>, Told> {
    let (user, file) = match (&settings.user, &settings.password_file) {
        (None, None) => return Ok(None),
        (Some(user), Some(file)) => (user, file),
        (Some(_), None) | (None, Some(_)) => {
            let reason = "a user has a password, and a password a user";
            let remedy = "write user and password_file, or neither";
            report.problem(section.at(), section.path("user"), reason, remedy);
            return Err(Told);
        }
    };
    let path = section.path("password_file");
    let at = report.accepted(&path).unwrap_or(section.at());
    let name = file.0.display().to_string();
    let password = report.read_secret(folder, &name).and_then(|content| {
        let text = String::from_utf8(content).map_err(|_| "this is not text".to_owned())?;
        Ok(text.trim().to_owned())
    });
    let password = password.map_err(|problem| {
        let remedy = "write the path of a file that holds the password";
        report.problem(at, path, format!("{name}: {problem}"), remedy);
        Told
    });
    Ok(Some(Credentials::new(user.0.as_str(), password?)))
}

fn read_dns(mut section: Section<'_>, report: &mut Report) -> Option<SourceConfig> {
    let whole = has(&section, "name", "name = \"api.internal\"", report);
    let settings = section.settings(&DnsSettings::default(), report);
    section.finish(report);
    whole.then_some(SourceConfig::Dns(settings))
}

fn read_file(mut section: Section<'_>, folder: &Path, report: &mut Report) -> Option<SourceConfig> {
    let whole = has(&section, "path", "path = \"endpoints.toml\"", report);
    let settings = section.settings(&FileSettings::default(), report);
    section.finish(report);
    whole.then(|| SourceConfig::File {
        path: folder.join(&settings.path.0),
        settings,
    })
}
