//! `[[listener]]`: a socket, the protocols behind it, and its limits.

use std::net::SocketAddr;
use std::path::Path;

use wharf_http::{Protocol, TcpSettings};
use wharf_pool::config::Setting;
use wharf_pool::{Cidr, ListenerName};

use super::groups::ListenerLimits;
use super::pools::{BasePools, PoolSettings, read_pool};
use super::report::{Problem, Report, cut};
use super::section::{Section, nearest};
use super::tls::{TlsConfig, read_tls};
use super::written::{Entry, Shape, Written};

/// One listener as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListenerConfig {
    /// Its name.
    pub(crate) name: ListenerName,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its own limits.
    pub(crate) limits: ListenerLimits,
    /// How its sockets are set up.
    pub(crate) tcp: TcpSettings,
    /// The proxies that must announce the peer, if there are any.
    pub(crate) proxies: Option<Vec<Cidr>>,
    /// What secures its connections, if anything.
    pub(crate) tls: Option<TlsConfig>,
    /// Its pools.
    pub(crate) pools: Vec<(Protocol, PoolSettings)>,
}

impl ListenerConfig {
    /// Whether `next` is the same listener to those who come by it: only limits, pools and certificates
    /// differ, which change without its accept loop.
    pub(crate) fn stays_as(&self, next: &Self) -> bool {
        let protocols = |it: &Self| it.pools.iter().map(|(p, _)| *p).collect::<Vec<_>>();
        let tls = match (&self.tls, &next.tls) {
            (Some(before), Some(after)) if before.stays_as(after) => &self.tls,
            _ => &next.tls,
        };
        let adjusted = Self {
            limits: self.limits.clone(),
            pools: self.pools.clone(),
            tls: tls.clone(),
            ..next.clone()
        };
        adjusted == *self && protocols(self) == protocols(next)
    }
}

/// Reads every listener; names and addresses are given once.
pub(crate) fn read_listeners(
    sections: Vec<Section<'_>>,
    base: &BasePools,
    folder: &Path,
    report: &mut Report,
) -> Vec<ListenerConfig> {
    let mut listeners: Vec<ListenerConfig> = Vec::new();
    for section in sections {
        let (at, path) = (section.at(), section.path(""));
        let Some(listener) = read_listener(section, base, folder, report) else {
            continue;
        };
        if listeners.iter().any(|other| other.name == listener.name) {
            let reason = format!("there is a listener {:?} already", listener.name.as_str());
            report.problem(
                at,
                format!("{path}name"),
                reason,
                "give each listener its own name",
            );
        }
        let taken = |other: &&ListenerConfig| {
            other.address == listener.address && listener.address.port() != 0
        };
        if let Some(other) = listeners.iter().find(taken) {
            let reason = format!("listener {:?} has this address", other.name.as_str());
            report.problem(at, format!("{path}address"), reason, "write another port");
        }
        listeners.push(listener);
    }
    listeners
}

/// The names that listeners have, whatever else is wrong with them.
pub(crate) fn named(sections: &[Section<'_>]) -> Vec<ListenerName> {
    let name = |section: &Section<'_>| ListenerName::new(section.peek("name")?.value.text()?).ok();
    sections.iter().filter_map(name).collect()
}

fn read_listener(
    mut section: Section<'_>,
    base: &BasePools,
    folder: &Path,
    report: &mut Report,
) -> Option<ListenerConfig> {
    let name = read_name(&mut section, "web", report);
    let address = read_address(&mut section, report);
    let listed = section.peek("protocols");
    let protocols = read_protocols(&mut section, report);
    let has_tls = section.peek("tls").is_some();
    let tls = read_tls(&mut section, folder, report);
    if let Some(listed) = listed {
        check_protocols(
            listed,
            &section.path("protocols"),
            (&protocols, has_tls),
            report,
        );
    }
    let limits = section.settings(&ListenerLimits::default(), report);
    let tcp = section.settings(&TcpSettings::default(), report);
    let proxies = read_proxies(&mut section, report);
    let own = section.section("pools", report);
    let pools = read_pools(own, &protocols, base, report);
    section.finish(report);
    Some(ListenerConfig {
        name: name?,
        address: address?,
        limits,
        tcp,
        proxies,
        tls: if has_tls { Some(tls?) } else { None },
        pools,
    })
}

/// Reads a name such as `such_as`.
pub(crate) fn read_name(
    section: &mut Section<'_>,
    such_as: &str,
    report: &mut Report,
) -> Option<ListenerName> {
    let remedy = format!("write 1 to 32 of a-z, 0-9, _ and -, such as name = {such_as:?}");
    let entry = required(section, "name", &remedy, report)?;
    let name = entry
        .value
        .text()
        .and_then(|name| ListenerName::new(name).ok());
    if name.is_none() {
        let reason = format!("{} is not a name", cut(&entry.value.value().to_string()));
        report.problem(entry.value.at, section.path("name"), reason, remedy);
    }
    name
}

fn read_address(section: &mut Section<'_>, report: &mut Report) -> Option<SocketAddr> {
    let remedy = "write an IP address and a port, such as \"0.0.0.0:8080\" or \"[::]:8080\"";
    let entry = required(section, "address", remedy, report)?;
    let address = entry.value.text().and_then(|address| address.parse().ok());
    if address.is_none() {
        let reason = format!(
            "{} is not an address",
            cut(&entry.value.value().to_string())
        );
        report.problem(entry.value.at, section.path("address"), reason, remedy);
    }
    address
}

fn read_protocols(section: &mut Section<'_>, report: &mut Report) -> Vec<Protocol> {
    const REMEDY: &str = "write a list such as protocols = [\"http\"]";
    let Some(entry) = required(section, "protocols", REMEDY, report) else {
        return Vec::new();
    };
    let path = section.path("protocols");
    let Shape::List(items) = &entry.value.shape else {
        report.problem(
            entry.value.at,
            path,
            "this must be a list of protocols",
            REMEDY,
        );
        return Vec::new();
    };
    if items.is_empty() {
        let reason = "a listener without a protocol serves nothing";
        report.problem(entry.value.at, path.as_str(), reason, REMEDY);
    }
    let mut protocols = Vec::new();
    for item in items {
        let Some(protocol) = read_protocol(item, &path, report) else {
            continue;
        };
        if protocols.contains(&protocol) {
            let reason = format!("{:?} is there twice", protocol.as_str());
            report.problem(item.at, path.as_str(), reason, "write each protocol once");
        } else {
            protocols.push(protocol);
        }
    }
    protocols
}

fn read_protocol(item: &Written, path: &str, report: &mut Report) -> Option<Protocol> {
    let names: Vec<_> = Protocol::ALL
        .iter()
        .map(|protocol| protocol.as_str())
        .collect();
    let Some(protocol) = item.text().and_then(|name| name.parse::<Protocol>().ok()) else {
        let remedy = match item.text().and_then(|name| nearest(name, &names)) {
            Some(nearest) => format!("did you mean {nearest:?}?"),
            None => format!("write one of {}", names.join(", ")),
        };
        let reason = format!("{} is not a protocol", cut(&item.value().to_string()));
        report.problem(item.at, path, reason, remedy);
        return None;
    };
    Some(protocol)
}

/// With TLS HTTP/1 is `https`, and without it `http`.
fn check_protocols(
    listed: &Entry,
    path: &str,
    (protocols, tls): (&[Protocol], bool),
    report: &mut Report,
) {
    let mut refuse = |reason: &str, remedy: &str| {
        report.problem(listed.value.at, path, reason, remedy);
    };
    if tls && protocols.contains(&Protocol::Http) {
        refuse(
            "with tls, HTTP/1 is \"https\"",
            "write \"https\" instead of \"http\"",
        );
    }
    if !tls && protocols.contains(&Protocol::Https) {
        let remedy = "write \"http\" instead, or tls = { certificate = \"…\", key = \"…\" }";
        refuse("\"https\" needs tls", remedy);
    }
    let has_http1 = protocols.contains(&Protocol::Http) || protocols.contains(&Protocol::Https);
    if protocols.contains(&Protocol::WebSocket) && !has_http1 {
        let remedy = if tls { "add \"https\"" } else { "add \"http\"" };
        refuse("a \"websocket\" session begins as HTTP/1", remedy);
    }
}

fn read_proxies(section: &mut Section<'_>, report: &mut Report) -> Option<Vec<Cidr>> {
    let mut proxy = section.section("proxy_protocol", report)?;
    let remedy = "write proxy_protocol = { trusted = [\"10.0.0.0/8\"] }";
    let entry = required(&mut proxy, "trusted", remedy, report);
    let path = proxy.path("trusted");
    proxy.finish(report);
    let entry = entry?;
    match <Vec<Cidr> as Setting>::read(&entry.value.value()) {
        Ok(trusted) if trusted.is_empty() => {
            let reason = "with nobody trusted, every connection would be refused";
            report.problem(entry.value.at, path, reason, remedy);
            None
        }
        Ok(trusted) => {
            report.accept(path, entry.at);
            Some(trusted)
        }
        Err(bad) => {
            let reason = format!("{} is not a list of ranges", cut(bad.found()));
            let remedy = format!("write {}", bad.remedy());
            report.push(Problem {
                at: entry.value.at,
                key: path,
                reason,
                remedy,
            });
            None
        }
    }
}

fn read_pools(
    own: Option<Section<'_>>,
    protocols: &[Protocol],
    base: &BasePools,
    report: &mut Report,
) -> Vec<(Protocol, PoolSettings)> {
    let mut own = own;
    let mut pools = Vec::new();
    for protocol in protocols {
        let section = own
            .as_mut()
            .and_then(|own| own.section(protocol.as_str(), report));
        let base = base.of(*protocol);
        let pool = section.map(|section| read_pool(section, base, report));
        pools.push((*protocol, pool.unwrap_or_else(|| base.clone())));
    }
    let Some(mut own) = own else { return pools };
    for protocol in Protocol::ALL
        .into_iter()
        .filter(|protocol| !protocols.contains(protocol))
    {
        let name = protocol.as_str();
        let Some(entry) = own.take(name) else {
            continue;
        };
        if protocols.is_empty() {
            // What is wrong is the list of protocols, and that has been said.
            let section = Section::open(&entry.value, own.path(name), report);
            section.map(|section| read_pool(section, base.of(protocol), report));
        } else {
            let reason = format!("the listener does not have the protocol {name}");
            let remedy = format!("leave the section out, or add {name:?} to protocols");
            report.problem(entry.at, own.path(name), reason, remedy);
        }
    }
    own.finish(report);
    pools
}

/// Takes a key that must be there.
pub(crate) fn required<'w>(
    section: &mut Section<'w>,
    key: &'static str,
    remedy: &str,
    report: &mut Report,
) -> Option<&'w Entry> {
    let entry = section.take(key);
    if entry.is_none() {
        report.problem(
            section.at(),
            section.path(key),
            "this key is missing",
            remedy,
        );
    }
    entry
}
