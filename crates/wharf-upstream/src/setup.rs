//! [`UpstreamSetup`]: what an upstream is started with.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use wharf_pool::config::{PoolConfig, SetError};
use wharf_pool::{InvalidName, ListenerName, Registry, RegistryError};

use crate::address::{EndpointAddress, Scheme};
use crate::balance::Balance;
use crate::connect::LinkLocal;
use crate::connection::UpstreamConnection;
use crate::discovery::EmptySet;
use crate::policy::{HealthCheckSettings, OutlierSettings};
use crate::settings::PoolSettings;

/// What an upstream is started with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UpstreamSetup {
    /// Its name.
    pub name: ListenerName,
    /// What can be changed while it runs.
    pub settings: UpstreamSettings,
    /// How TLS is spoken to `https` endpoints: authorities, a certificate of ours, the versions. Its ALPN
    /// protocols are set here, and resumption is the configuration's own.
    pub tls: Option<Arc<ClientConfig>>,
    /// The name that endpoints' certificates must have, in place of the one in their address.
    pub server_name: Option<ServerName<'static>>,
    /// What becomes of link-local addresses, and the like, that an endpoint's name stands for.
    pub link_local: LinkLocal,
    /// Where the pool is registered. Whoever gives one calls [`Registry::tick`]; without one the upstream
    /// has its own.
    pub registry: Option<Registry<UpstreamConnection>>,
}

/// What of an upstream can be changed while it runs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UpstreamSettings {
    /// Its endpoints, all of one scheme. Where a source is followed, they are asked until it has found some.
    pub endpoints: Vec<EndpointSetup>,
    /// What all endpoints speak. Left out, what the first of them does; an upstream whose endpoints are all to be
    /// found has to be told.
    pub scheme: Option<Scheme>,
    /// What becomes of a found set that has no endpoint.
    pub when_empty: EmptySet,
    /// How often the names of endpoints are looked up, each address then being an endpoint of its own. Without
    /// it an endpoint is whatever answers first under its name, looked up for each connection.
    pub resolve_every: Option<Duration>,
    /// How they are asked whether they are well; without it they are not.
    pub health_check: Option<HealthCheckSettings>,
    /// When they are left alone because of what they answer.
    pub outlier: OutlierSettings,
    /// How they are chosen.
    pub balance: Balance,
    /// How connections to them are made, kept and waited for.
    pub pool: PoolConfig<PoolSettings>,
}

/// One endpoint, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointSetup {
    /// Where it is.
    pub address: EndpointAddress,
    /// Its share, beside the others' weights: 1.
    pub weight: u32,
}

impl UpstreamSetup {
    /// An upstream of that name with these endpoints, and everything else as it is by default.
    pub fn new(name: ListenerName, endpoints: impl IntoIterator<Item = EndpointAddress>) -> Self {
        Self {
            name,
            settings: UpstreamSettings::new(endpoints),
            tls: None,
            server_name: None,
            link_local: LinkLocal::default(),
            registry: None,
        }
    }
}

impl UpstreamSettings {
    /// These endpoints, and everything else as it is by default.
    pub fn new(endpoints: impl IntoIterator<Item = EndpointAddress>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(EndpointSetup::from).collect(),
            scheme: None,
            when_empty: EmptySet::default(),
            resolve_every: None,
            health_check: None,
            outlier: OutlierSettings::default(),
            balance: Balance::default(),
            pool: PoolSettings::defaults(),
        }
    }
}

impl From<EndpointAddress> for EndpointSetup {
    fn from(address: EndpointAddress) -> Self {
        Self { address, weight: 1 }
    }
}

/// Why an upstream could not be started, or changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is nobody to ask.
    #[error("upstream {0} has no endpoint")]
    NoEndpoint(ListenerName),
    /// Its endpoints do not speak the same.
    #[error("the endpoints of upstream {upstream} have several schemes: {one} and {other}")]
    MixedSchemes {
        /// The upstream.
        upstream: ListenerName,
        /// One of them.
        one: EndpointAddress,
        /// One with another scheme.
        other: EndpointAddress,
    },
    /// An endpoint does not speak what was said of all.
    #[error("upstream {upstream} speaks {}, and {endpoint} does not", scheme.as_str())]
    OtherThanSaid {
        /// The upstream.
        upstream: ListenerName,
        /// What all are to speak.
        scheme: Scheme,
        /// One that does not.
        endpoint: EndpointAddress,
    },
    /// An endpoint is there twice.
    #[error("upstream {upstream} has {endpoint} twice: give it a weight instead")]
    Twice {
        /// The upstream.
        upstream: ListenerName,
        /// The endpoint.
        endpoint: EndpointAddress,
    },
    /// The scheme is `https`, and no TLS configuration was given.
    #[error("upstream {0} speaks https, and has no TLS configuration")]
    NoTls(ListenerName),
    /// A running upstream cannot speak something else.
    #[error("upstream {0} cannot change its scheme while it runs")]
    OtherScheme(ListenerName),
    /// The settings of its pool cannot be used.
    #[error("upstream {upstream}: {}", problems.first().map_or(String::new(), ToString::to_string))]
    BadSettings {
        /// The upstream.
        upstream: ListenerName,
        /// What is wrong with them.
        problems: Vec<SetError>,
    },
    /// The pool could not be had.
    #[error("the pool could not be had")]
    Registry(#[from] RegistryError),
    /// The name of the pool cannot be.
    #[error("the pool cannot have that name")]
    Name(#[from] InvalidName),
}

impl UpstreamSettings {
    /// What all endpoints speak.
    pub(crate) fn scheme(&self) -> Scheme {
        let first = self.endpoints.first().map(|it| it.address.scheme());
        self.scheme.or(first).unwrap_or(Scheme::Http)
    }

    /// Checks the endpoints as a whole.
    pub(crate) fn check(&self, upstream: &ListenerName) -> Result<(), StartError> {
        if self.endpoints.is_empty() && self.scheme.is_none() {
            return Err(StartError::NoEndpoint(upstream.clone()));
        }
        for (i, endpoint) in self.endpoints.iter().enumerate() {
            let address = &endpoint.address;
            if let Some(scheme) = self.scheme.filter(|it| *it != address.scheme()) {
                return Err(StartError::OtherThanSaid {
                    upstream: upstream.clone(),
                    scheme,
                    endpoint: address.clone(),
                });
            }
            let one = &self.endpoints[0].address;
            if address.scheme() != one.scheme() {
                return Err(StartError::MixedSchemes {
                    upstream: upstream.clone(),
                    one: one.clone(),
                    other: address.clone(),
                });
            }
            if self.endpoints[..i].iter().any(|it| it.address == *address) {
                return Err(StartError::Twice {
                    upstream: upstream.clone(),
                    endpoint: address.clone(),
                });
            }
        }
        let problems = self.pool.problems();
        if problems.is_empty() {
            Ok(())
        } else {
            let upstream = upstream.clone();
            Err(StartError::BadSettings { upstream, problems })
        }
    }
}
