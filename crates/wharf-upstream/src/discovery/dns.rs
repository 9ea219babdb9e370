//! [`Dns`]: endpoints that servers of names know, for as long as they say.
//!
//! The system's own resolver tells no times to live, and no SRV records. What is asked here is one question for each
//! name, of servers that recurse; who they are is the caller's to know.

mod ask;
mod message;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use wharf_control::{Random, jittered};

use super::{Findings, FoundSet, MOST, Skips, Source};
use crate::address::{EndpointAddress, Scheme};
use crate::setup::EndpointSetup;
use ask::{AskError, Asker};
use message::{Data, Kind};

/// Endpoints that servers of names know. A name that they do not know has no endpoint; servers that cannot be asked
/// have said nothing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dns {
    /// Who is asked: first the one that answered last, and after half a second of silence another one too.
    pub servers: Vec<SocketAddr>,
    /// The whole name; no search domain is added.
    pub name: String,
    /// What is asked for: with a port the addresses of the name (A, AAAA), without one its services (SRV), of which
    /// those of the lowest priority are taken.
    pub port: Option<NonZeroU16>,
    /// What the endpoints speak.
    pub scheme: Scheme,
    /// How soon it is asked again at the earliest, whatever the time to live says.
    pub min_ttl: Duration,
    /// How late at the latest.
    pub max_ttl: Duration,
}

/// How long a failure is left alone, and a name without an address: it may be back before any time to live is over.
const RETRY: Duration = Duration::from_secs(1);

/// How much of a wait chance takes.
const JITTER: f64 = 0.1;

/// The greatest weight of an endpoint; those of SRV go up to 65,535.
const HEAVIEST: u32 = 1000;

impl Dns {
    /// A name, asked of these servers: the services of it, or with a port its addresses.
    pub fn new(
        servers: impl IntoIterator<Item = SocketAddr>,
        name: impl Into<String>,
        port: Option<NonZeroU16>,
    ) -> Self {
        Self {
            servers: servers.into_iter().collect(),
            name: name.into(),
            port,
            scheme: Scheme::Http,
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_mins(5),
        }
    }

    async fn look_up(&self, asker: &mut Asker<'_>) -> Result<FoundSet, AskError> {
        let mut found = Found::new(self.scheme, self.max_ttl);
        if let Some(port) = self.port {
            found.addresses(asker, &self.name, port.get(), 1).await?;
        } else {
            let mut services = asker.ask(&self.name, Kind::Srv).await?;
            found.ttl = found.ttl.min(services.ttl);
            let of = |data: &Data| match data {
                Data::Srv { priority, .. } => Some(*priority),
                Data::Address(_) | Data::Cname(_) => None,
            };
            let lowest = services.data.iter().filter_map(of).min();
            services.data.retain(|data| of(data) == lowest);
            let heaviest = services.data.iter().map(weight_of).max().unwrap_or(1);
            for service in services.data.iter().take(MOST) {
                if let Data::Srv { port, target, .. } = service {
                    let weight = scaled(weight_of(service), heaviest);
                    found.addresses(asker, target, *port, weight).await?;
                }
            }
        }
        Ok(found.set())
    }
}

const fn weight_of(service: &Data) -> u32 {
    match service {
        Data::Srv { weight, .. } => *weight as u32,
        Data::Address(_) | Data::Cname(_) => 0,
    }
}

/// A weight among others, of which the greatest is `heaviest`. None is a little (RFC 2782), and not nothing.
fn scaled(weight: u32, heaviest: u32) -> u32 {
    if heaviest <= HEAVIEST {
        weight.max(1)
    } else {
        // Both are of 16 bits.
        (weight * HEAVIEST / heaviest).max(1)
    }
}

impl Source for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    async fn watch(self, findings: Findings) {
        let seed = RandomState::new().build_hasher().finish();
        let mut asker = Asker::new(&self.servers, Random::new(seed));
        for nth in 0.. {
            let wait = match self.look_up(&mut asker).await {
                Ok(set) => {
                    let ttl = if set.endpoints.is_empty() {
                        RETRY
                    } else {
                        set.ttl.unwrap_or(self.max_ttl)
                    };
                    findings.found(set);
                    ttl.clamp(self.min_ttl, self.max_ttl.max(self.min_ttl))
                }
                Err(error) => {
                    findings.failed(&format_args!("{}: {error}", self.name));
                    RETRY.max(self.min_ttl)
                }
            };
            sleep(jittered(wait, JITTER, nth)).await;
        }
    }
}

/// What has been found so far.
struct Found {
    scheme: Scheme,
    endpoints: Vec<EndpointSetup>,
    skips: Skips,
    ttl: Duration,
    /// The addresses of the names that were asked for.
    known: HashMap<String, Arc<[IpAddr]>>,
}

impl Found {
    fn new(scheme: Scheme, ttl: Duration) -> Self {
        Self {
            scheme,
            endpoints: Vec::new(),
            skips: Skips::default(),
            ttl,
            known: HashMap::new(),
        }
    }

    /// The addresses of a name, each an endpoint.
    async fn addresses(
        &mut self,
        asker: &mut Asker<'_>,
        name: &str,
        port: u16,
        weight: u32,
    ) -> Result<(), AskError> {
        let place: Result<EndpointAddress, _> =
            format!("{}://{name}:{port}", self.scheme.as_str()).parse();
        let Ok(place) = place else {
            self.skips
                .skip(format_args!("{name:?}:{port} is no endpoint"));
            return Ok(());
        };
        if self.endpoints.len() > MOST {
            // One too many says that there are more.
            return Ok(());
        }
        let known = self.known.get(name).map(Arc::clone);
        let addresses = match known {
            Some(known) => known,
            None => self.ask(asker, name).await?,
        };
        for ip in addresses.iter() {
            self.endpoints.push(at(&place, *ip, port, weight));
        }
        Ok(())
    }

    /// The addresses of a name, asked for once, however many services lead to it.
    async fn ask(&mut self, asker: &mut Asker<'_>, name: &str) -> Result<Arc<[IpAddr]>, AskError> {
        let mut addresses = Vec::new();
        for kind in [Kind::A, Kind::Aaaa] {
            let answer = match asker.ask(name, kind).await {
                // Servers that know nothing of IPv6 may say so badly.
                Err(error) if kind == Kind::Aaaa && !addresses.is_empty() => {
                    self.skips.skip(format_args!("{name}, AAAA: {error}"));
                    continue;
                }
                answer => answer?,
            };
            if answer.data.is_empty() {
                continue;
            }
            self.ttl = self.ttl.min(answer.ttl);
            let of = |data| match data {
                Data::Address(ip) => Some(ip),
                Data::Cname(_) | Data::Srv { .. } => None,
            };
            addresses.extend(answer.data.into_iter().take(MOST + 1).filter_map(of));
        }
        let addresses: Arc<[IpAddr]> = addresses.into();
        self.known.insert(name.to_owned(), Arc::clone(&addresses));
        Ok(addresses)
    }

    fn set(self) -> FoundSet {
        FoundSet {
            endpoints: self.endpoints,
            skips: self.skips,
            revision: None,
            ttl: Some(self.ttl),
        }
    }
}

fn at(place: &EndpointAddress, ip: IpAddr, port: u16, weight: u32) -> EndpointSetup {
    let mut endpoint = EndpointSetup::from(place.found_at(SocketAddr::new(ip, port)));
    endpoint.weight = weight;
    endpoint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_their_proportion_within_what_endpoints_have() {
        for (weight, heaviest, expected) in [
            (0, 0, 1),
            (0, 10, 1),
            (7, 10, 7),
            (1000, 1000, 1000),
            (65_535, 65_535, 1000),
            (32_768, 65_535, 500),
            (1, 65_535, 1),
        ] {
            assert_eq!(scaled(weight, heaviest), expected, "{weight} of {heaviest}");
        }
    }
}
