//! [`follow`]: the sources of endpoints that a configuration names.

mod file;
mod name_servers;

use std::sync::Arc;

use wharf_upstream::{Dns, Etcd, Upstream};

use crate::config::{Auto, DiscoveryConfig, SourceConfig, UpstreamConfig};
use file::EndpointFile;
use name_servers::name_servers;

/// Follows the source that `config` names, or none.
pub(super) fn follow(upstream: &Upstream, config: &UpstreamConfig) {
    match config.discovery.as_ref().map(|it| &it.source) {
        None => upstream.unfollow(),
        Some(SourceConfig::File { path, .. }) => upstream.follow(EndpointFile::new(path.clone())),
        Some(SourceConfig::Dns(settings)) => {
            let servers = match &settings.servers {
                Auto::Set(servers) => servers.0.clone(),
                Auto::Found => name_servers(),
            };
            let port = settings.port.map(|it| it.0);
            let mut dns = Dns::new(servers, settings.name.0.as_str(), port);
            dns.scheme = config.scheme();
            (dns.min_ttl, dns.max_ttl) = (settings.min_ttl, settings.max_ttl);
            upstream.follow(dns);
        }
        Some(SourceConfig::Etcd {
            settings,
            credentials,
            tls,
        }) => {
            let mut etcd = Etcd::new(settings.endpoints.0.clone(), settings.prefix.0.as_str());
            etcd.scheme = config.scheme();
            etcd.credentials.clone_from(credentials);
            if let Some(tls) = tls {
                etcd.tls = Some(Arc::clone(&tls.config));
                etcd.server_name.clone_from(&tls.server_name);
            }
            upstream.follow(etcd);
        }
    }
}

/// Whether both name the same source: what was found by one is what the other would find.
pub(super) fn is_same(now: &UpstreamConfig, next: &UpstreamConfig) -> bool {
    let source = |it: &DiscoveryConfig| it.source.clone();
    now.discovery.as_ref().map(source) == next.discovery.as_ref().map(source)
}
