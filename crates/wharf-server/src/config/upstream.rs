//! `[[upstream]]`: servers that are asked as if they were one.

use std::path::Path;
use std::time::Duration;

use wharf_pool::config::{Applies, BadValue, Key, PoolConfig, Setting, Settings, Value};
use wharf_pool::{ListenerName, settings};
use wharf_upstream::{Balance, EndpointSetup, HealthCheckSettings, OutlierSettings, Scheme};

use super::discovery::{DiscoveryConfig, read_discovery};
use super::endpoint::{Empty, read_endpoints};
use super::listener::read_name;
use super::pools::read_pool;
use super::report::Report;
use super::section::Section;
use super::upstream_tls::{Told, UpstreamTls, read_tls};

/// The configuration of an upstream's pool.
pub(crate) type UpstreamPool = PoolConfig<wharf_upstream::PoolSettings>;

/// One upstream as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UpstreamConfig {
    /// Its name.
    pub(crate) name: ListenerName,
    /// Where its servers are.
    pub(crate) endpoints: Vec<EndpointSetup>,
    /// How they are chosen.
    pub(crate) choice: Choice,
    /// How connections to them are made, kept and waited for.
    pub(crate) pool: UpstreamPool,
    /// How they are asked whether they are well, if they are.
    pub(crate) health_check: Option<HealthCheckSettings>,
    /// When they are left alone because of what they answer.
    pub(crate) outlier: OutlierSettings,
    /// How TLS is spoken, if it is.
    pub(crate) tls: Option<UpstreamTls>,
    /// Where more endpoints are found, if that is looked for.
    pub(crate) discovery: Option<DiscoveryConfig>,
}

/// A section that is settings, with perhaps a `tls` beside them.
pub(crate) struct Group<'a> {
    /// Its name, below the upstream.
    pub(crate) name: &'static str,
    /// Its settings.
    pub(crate) values: Vec<(Key, Value)>,
    /// How TLS is spoken to whom it names.
    pub(crate) tls: Option<&'a UpstreamTls>,
}

settings! {
    /// How the endpoints of an upstream are chosen.
    pub struct Choice, ChoicePatch {
        /// Who is asked: least_cost (latency times requests in flight), round_robin, least_request, p2c,
        /// or consistent_hash (the same endpoint for the same client).
        balance: Choose = Choose(Balance::LeastCost), Now;
        /// How often the names of endpoints are looked up, each address then being an endpoint. Off: for
        /// each connection, and any address will do.
        resolve_every: Option<Duration> = None, Now;
        /// Whether endpoints may be at link-local addresses, where clouds keep the secrets of a machine.
        allow_link_local: bool = false, Now;
    }
}

/// `[[upstream]]`: where its servers are.
pub(crate) const ENDPOINTS: Key = Key::new("endpoints", Applies::Now, "Where its servers are.");

/// A way of choosing, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choose(pub(crate) Balance);

impl Setting for Choose {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let found = value.as_text().and_then(|text| text.parse().ok());
        let names = Balance::ALL.map(|it| format!("{:?}", it.as_str()));
        let remedy = || format!("one of {}", names.join(", "));
        found
            .map(Self)
            .ok_or_else(|| BadValue::new(value, remedy()))
    }

    fn write(&self) -> Value {
        Value::text(self.0.as_str())
    }
}

impl UpstreamConfig {
    /// What is spoken to all of its endpoints.
    pub(crate) fn scheme(&self) -> Scheme {
        let first = self.endpoints.first().map(|it| it.address.scheme());
        match &self.discovery {
            Some(discovery) => discovery.scheme(first),
            None => first.unwrap_or(Scheme::Http),
        }
    }

    /// Whether `next` is the same upstream with other settings, and not another one of that name.
    pub(crate) fn stays_as(&self, next: &Self) -> bool {
        let kind = |it: &Self| (it.scheme(), it.choice.allow_link_local);
        kind(self) == kind(next) && self.tls == next.tls
    }

    /// The sections that are settings, by their names.
    pub(crate) fn groups(&self) -> Vec<Group<'_>> {
        let plain = |name, values| Group {
            name,
            values,
            tls: None,
        };
        let checked = self.health_check.as_ref().map(Settings::values);
        let always = [
            plain("pool", self.pool.values()),
            plain("outlier", self.outlier.values()),
        ];
        let found = self.discovery.iter().flat_map(DiscoveryConfig::groups);
        let checked = checked.map(|values| plain("health_check", values));
        always.into_iter().chain(checked).chain(found).collect()
    }

    /// The endpoints in the form of the file.
    pub(crate) fn endpoints_written(&self) -> String {
        let written = |it: &EndpointSetup| match it.weight {
            1 => format!("\"{}\"", it.address),
            weight => format!("{{ address = \"{}\", weight = {weight} }}", it.address),
        };
        let all: Vec<_> = self.endpoints.iter().map(written).collect();
        format!("[{}]", all.join(", "))
    }

    /// The endpoints, for differences.
    pub(crate) fn endpoint_values(&self) -> Value {
        let shown = |it: &EndpointSetup| match it.weight {
            1 => it.address.to_string(),
            weight => format!("{}, weight {weight}", it.address),
        };
        Value::List(
            self.endpoints
                .iter()
                .map(|it| Value::text(shown(it)))
                .collect(),
        )
    }
}

/// Reads every upstream; names are given once, and are none of a listener.
pub(crate) fn read_upstreams(
    sections: Vec<Section<'_>>,
    listeners: &[ListenerName],
    folder: &Path,
    report: &mut Report,
) -> Vec<UpstreamConfig> {
    let mut upstreams: Vec<UpstreamConfig> = Vec::new();
    for section in sections {
        let named = section
            .peek("name")
            .map_or(section.at(), |name| name.value.at);
        let path = section.path("name");
        let Some(upstream) = read_upstream(section, folder, report) else {
            continue;
        };
        let name = upstream.name.as_str();
        let taken = if listeners.iter().any(|it| it.as_str() == name) {
            Some("listener")
        } else {
            let twice = upstreams.iter().any(|it| it.name == upstream.name);
            twice.then_some("upstream")
        };
        if let Some(kind) = taken {
            let reason = format!("there is {} {kind} {name:?} already", article(kind));
            let remedy = "give each listener and each upstream its own name";
            report.problem(named, path, reason, remedy);
        }
        upstreams.push(upstream);
    }
    upstreams
}

fn article(kind: &str) -> &'static str {
    if kind.starts_with('u') { "an" } else { "a" }
}

fn read_upstream(
    mut section: Section<'_>,
    folder: &Path,
    report: &mut Report,
) -> Option<UpstreamConfig> {
    let name = read_name(&mut section, "api", report);
    let choice = section.settings(&Choice::default(), report);
    let endpoints = read_listed(&mut section, choice.allow_link_local, report);
    let discovery = section.section("discovery", report);
    let discovery = discovery.and_then(|it| read_discovery(it, folder, report));
    if let Some(discovery) = &discovery {
        check_scheme(
            discovery,
            endpoints.iter().flatten().next(),
            &section,
            report,
        );
    }
    let base = wharf_upstream::PoolSettings::defaults();
    let pool = section.section("pool", report);
    let pool = pool.map_or_else(|| base.clone(), |pool| read_pool(pool, &base, report));
    let listed = endpoints.iter().flatten().map(|it| it.address.scheme());
    let mut spoken = listed.chain(discovery.iter().map(|it| it.scheme(None)));
    let secured = spoken.any(|it| it == Scheme::Https);
    let tls = read_tls_of(&mut section, secured, folder, report);
    let health_check = section.section("health_check", report);
    let health_check = health_check.map(|section| read_group(section, report));
    let outlier = section.section("outlier", report);
    let outlier = outlier.map(|section| read_group(section, report));
    section.finish(report);
    Some(UpstreamConfig {
        name: name?,
        endpoints: endpoints?,
        choice,
        pool,
        health_check,
        outlier: outlier.unwrap_or_default(),
        tls: tls.ok()?,
        discovery,
    })
}

/// The endpoints that are listed; where others are found, there may be none to begin with.
fn read_listed(
    section: &mut Section<'_>,
    link_local: bool,
    report: &mut Report,
) -> Option<Vec<EndpointSetup>> {
    if section.peek("discovery").is_some() && section.peek("endpoints").is_none() {
        section.take("endpoints");
        return Some(Vec::new());
    }
    read_endpoints(section, link_local, Empty::Refused, report)
}

/// Whether endpoints that are found speak what those that are listed do.
fn check_scheme(
    discovery: &DiscoveryConfig,
    listed: Option<&EndpointSetup>,
    section: &Section<'_>,
    report: &mut Report,
) {
    let Some(listed) = listed.map(|it| it.address.scheme()) else {
        return;
    };
    let found = discovery.scheme(Some(listed));
    if found != listed {
        let (found, listed) = (found.as_str(), listed.as_str());
        let path = section.path("discovery.scheme");
        let at = report.accepted(&path).unwrap_or(section.at());
        let reason = format!("endpoints that are found speak {found}, and those here {listed}");
        let remedy = "leave it out, or give each scheme an upstream of its own";
        report.problem(at, path, reason, remedy);
    }
}

/// How TLS is spoken to endpoints that are `secured` by it.
fn read_tls_of(
    section: &mut Section<'_>,
    secured: bool,
    folder: &Path,
    report: &mut Report,
) -> Result<Option<UpstreamTls>, Told> {
    let (at, path) = (section.at(), section.path("tls"));
    match (section.peek("tls"), secured) {
        (Some(entry), false) => {
            let remedy = "leave the section out, or write https:// in endpoints";
            report.problem(entry.at, path, "no endpoint speaks TLS", remedy);
            read_tls(section, folder, report).map(Some).ok_or(Told)
        }
        (Some(_), true) => read_tls(section, folder, report).map(Some).ok_or(Told),
        (None, true) => UpstreamTls::of_system().map(Some).map_err(|why| {
            report.problem(at, path, why, "write [upstream.tls] with ca = \"ca.crt\"");
            Told
        }),
        (None, false) => {
            // Known, if not wanted.
            section.take("tls");
            Ok(None)
        }
    }
}

fn read_group<S: Settings>(mut section: Section<'_>, report: &mut Report) -> S {
    let settings = section.settings(&S::default(), report);
    section.finish(report);
    settings
}
