//! `endpoints` of an `[[upstream]]`: where its servers are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wharf_pool::config::Value;
use wharf_upstream::{EndpointAddress, EndpointSetup};

use super::listener::required;
use super::report::{Report, cut};
use super::section::Section;
use super::written::{Shape, Written};

const REMEDY: &str = "write a list such as endpoints = [\"http://127.0.0.1:3001\"]";

/// What becomes of a list without an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Empty {
    /// It is a mistake.
    Refused,
    /// It is meant so.
    Meant,
}

/// Reads the list; endpoints at link-local addresses only where that is wanted.
pub(super) fn read_endpoints(
    section: &mut Section<'_>,
    link_local: bool,
    empty: Empty,
    report: &mut Report,
) -> Option<Vec<EndpointSetup>> {
    let entry = required(section, "endpoints", REMEDY, report)?;
    let path = section.path("endpoints");
    let Shape::List(items) = &entry.value.shape else {
        let reason = "this must be a list of endpoints";
        report.problem(entry.value.at, path, reason, REMEDY);
        return None;
    };
    if items.is_empty() && empty == Empty::Refused {
        let reason = "an upstream without an endpoint answers nothing";
        report.problem(entry.value.at, path.as_str(), reason, REMEDY);
        return None;
    }
    let mut endpoints: Vec<EndpointSetup> = Vec::new();
    let mut whole = true;
    for item in items {
        match read_endpoint(item, &path, link_local, report) {
            Some(endpoint) => {
                whole &= is_new(&endpoint, &endpoints, (item.at, &path), report);
                endpoints.push(endpoint);
            }
            None => whole = false,
        }
    }
    whole.then_some(endpoints)
}

/// Whether the endpoint goes with those before it.
fn is_new(
    endpoint: &EndpointSetup,
    before: &[EndpointSetup],
    (at, path): (usize, &str),
    report: &mut Report,
) -> bool {
    let address = &endpoint.address;
    if before.iter().any(|it| it.address == *address) {
        let reason = format!("{address} is there twice");
        let remedy = format!("write {{ address = \"{address}\", weight = 2 }} once");
        report.problem(at, path, reason, remedy);
        return false;
    }
    let other = before
        .iter()
        .find(|it| it.address.scheme() != address.scheme());
    if let Some(other) = other {
        let reason = format!("{address} does not speak what {} does", other.address);
        let remedy = "give each scheme an upstream of its own";
        report.problem(at, path, reason, remedy);
        return false;
    }
    true
}

fn read_endpoint(
    item: &Written,
    path: &str,
    link_local: bool,
    report: &mut Report,
) -> Option<EndpointSetup> {
    let (address, weight) = if let Shape::Table(_) = item.shape {
        let mut section = Section::open(item, path, report)?;
        let address = required(&mut section, "address", REMEDY, report).map(|it| &it.value);
        let weight = section.take("weight");
        section.finish(report);
        let weight = weight.map_or(Some(1), |weight| read_weight(&weight.value, path, report));
        (address?, weight?)
    } else {
        (item, 1)
    };
    let found = match address.text().map(str::parse::<EndpointAddress>) {
        Some(Ok(found)) => found,
        wrong => {
            // A text as its error has it, which repeats no credentials.
            let written = match wrong {
                Some(Err(error)) => format!("{:?}", error.written()),
                Some(Ok(_)) | None => address.value().to_string(),
            };
            let reason = format!("{} is not an endpoint", cut(&written));
            let remedy = "write http://host:port, https://host:port, or h2c://host:port";
            report.problem(address.at, path, reason, remedy);
            return None;
        }
    };
    if !link_local && found.ip().is_some_and(is_link_local) {
        let reason = format!("{found} is an address of this machine's cloud, and of no server");
        let remedy = "write another, or allow_link_local = true";
        report.problem(address.at, path, reason, remedy);
        return None;
    }
    let mut endpoint = EndpointSetup::from(found);
    endpoint.weight = weight;
    Some(endpoint)
}

fn read_weight(value: &Written, path: &str, report: &mut Report) -> Option<u32> {
    let weight = if let Shape::Scalar(Value::Integer(n)) = &value.shape {
        u32::try_from(*n).ok().filter(|n| (1..=1000).contains(n))
    } else {
        None
    };
    if weight.is_none() {
        let reason = format!("{} is not a weight", cut(&value.value().to_string()));
        report.problem(
            value.at,
            format!("{path}.weight"),
            reason,
            "write 1 to 1000",
        );
    }
    weight
}

/// Where no server is, but what clouds tell their machines (RFC 3927, RFC 4291 2.5.6), or nobody.
fn is_link_local(address: IpAddr) -> bool {
    const ELSEWHERE: [IpAddr; 2] = [
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    ];
    let address = address.to_canonical();
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    local || address.is_unspecified() || address.is_multicast() || ELSEWHERE.contains(&address)
}
