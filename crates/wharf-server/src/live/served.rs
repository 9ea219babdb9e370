//! [`Served`]: what of a listener changes without its accept loop: its routes and its certificates.

use std::sync::Arc;

use tonic::service::Routes as Services;
use wharf_http::admission::Admission;
use wharf_http::tls::Certificates;
use wharf_http::{DrainSettings, ListenerSetup};

use crate::app::{App, Ranks, Routes, Way};
use crate::config::{Config, Forward, ListenerConfig, Route, ServerSettings, Target};
use crate::gateway::{Directory, Forwarding, Scheme, Telling};

/// The parts of one listener that change while it serves.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    routes: Routes,
    certificates: Option<Certificates>,
}

impl Served {
    /// The parts as `config` has them.
    pub(crate) fn new(config: &Config, listener: &ListenerConfig, upstreams: &Directory) -> Self {
        let tls = listener.tls.as_ref();
        Self {
            routes: Routes::new(ways(config, listener, upstreams), ranks(config, listener)),
            certificates: tls.map(|tls| Certificates::new(tls.first.clone(), tls.others.clone())),
        }
    }

    /// The listener as the library has it.
    pub(crate) fn setup(&self, config: &Config, listener: &ListenerConfig) -> ListenerSetup {
        let mut setup = ListenerSetup::new(listener.name.clone(), listener.address)
            .limits(listener.limits.scope())
            .tcp(listener.tcp.clone())
            .http2(config.http2());
        if let (Some(certificates), Some(tls)) = (&self.certificates, &listener.tls) {
            setup = setup.tls(certificates.clone(), tls.client_auth.clone());
        }
        if let Some(trusted) = &listener.proxies {
            setup = setup.proxy_protocol(trusted.clone());
        }
        for (protocol, pool) in &listener.pools {
            setup = setup.pool(*protocol, pool.clone());
        }
        setup
    }

    /// What its connections are served.
    pub(crate) fn app(&self, services: &Services, admission: &Admission) -> impl wharf_http::App {
        let scheme = match self.certificates {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        };
        let routes = self.routes.clone();
        let app = App::new(routes.clone(), services.clone(), scheme);
        admission.ranked(app, move |request| routes.rank(request))
    }

    /// From now on as `next` has it; `before` is what the listener was.
    pub(crate) fn set(
        &self,
        (next, upstreams): (&Config, &Directory),
        listener: &ListenerConfig,
        before: Option<&ListenerConfig>,
    ) {
        self.routes
            .set(ways(next, listener, upstreams), ranks(next, listener));
        let before = before.and_then(|before| before.tls.as_ref());
        if let (Some(certificates), Some(tls)) = (&self.certificates, &listener.tls)
            && before != Some(tls)
        {
            certificates.replace(tls.first.clone(), tls.others.clone());
        }
    }
}

/// The routes of a listener, with those that answer them.
fn ways(config: &Config, listener: &ListenerConfig, upstreams: &Directory) -> Vec<Way> {
    let scheme = match listener.tls {
        Some(_) => Scheme::Https,
        None => Scheme::Http,
    };
    let telling = if config.server.reason_header {
        Telling::Reason
    } else {
        Telling::Nothing
    };
    let way = |route: Route| {
        let forwarding = match &route.target {
            Target::Upstream(forward) => upstreams.get(&forward.upstream).map(|upstream| {
                Arc::new(Forwarding {
                    prefix: route.path.clone(),
                    forward: Forward::clone(forward),
                    upstream: upstream.clone(),
                    scheme,
                    telling,
                })
            }),
            Target::Demo | Target::Respond { .. } | Target::Redirect { .. } => None,
        };
        Way { route, forwarding }
    };
    config
        .routes_of(&listener.name)
        .into_iter()
        .map(way)
        .collect()
}

/// How important requests are to a listener whose route says nothing of it.
fn ranks(config: &Config, listener: &ListenerConfig) -> Ranks {
    Ranks {
        ranking: config.requests.ranking(&config.priorities),
        otherwise: listener.limits.priority.rank(),
    }
}

/// The drain as the library has it.
pub(crate) fn drain_settings(server: &ServerSettings) -> DrainSettings {
    let mut drain = DrainSettings::default();
    drain.delay = server.drain_delay.0;
    drain.linger = server.drain_linger.0;
    drain.timeout = server.drain_timeout;
    drain
}
