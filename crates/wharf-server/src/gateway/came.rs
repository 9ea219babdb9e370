//! [`Came`]: what is known of a request beside what it says of itself.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::Version;
use http::header::HeaderMap;
use http::request::Parts;
use tokio::time::Instant;
use wharf_control::upstream::stable_hash;
use wharf_http::Connected;
use wharf_http::grpc::is_grpc;
use wharf_http::grpc::timeout::{GRPC_TIMEOUT, asked, render};
use wharf_pool::config::Limit;
use wharf_upstream::{AttemptObserver, ResponseTimeout, Retry, SendOptions};

use super::forwarding::Forwarding;
use super::origin::Origin;
use crate::config::{Again, ForwardSettings, RouteTimeout};
use crate::otel;

/// What is known of a request beside what it says of itself, or what of that is a promise.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) origin: Origin,
    /// Who is told of the attempts to have it answered.
    pub(super) observer: Option<Arc<dyn AttemptObserver>>,
    /// How long the upstream may take, from the end of the request to the head of its answer.
    pub(super) limit: Option<Duration>,
    /// When its caller waits no longer.
    pub(super) deadline: Option<Instant>,
}

impl Came {
    /// Takes what is known out of a request. From here on nobody else looks after how long its answer
    /// takes: this side can say why it is late.
    pub(super) fn take(head: &mut Parts, forwarding: &Forwarding) -> Self {
        let Forwarding {
            scheme, forward, ..
        } = forwarding;
        let observer = otel::attempts(head, &forward.upstream);
        let extensions = std::mem::take(&mut head.extensions);
        let connected = extensions.get::<Connected>();
        let peer = connected.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.peer().ip());
        // Only of a call: nobody bounds what another request may ask for. One that is malformed was refused
        // before.
        let is_call = head.version == Version::HTTP_2 && is_grpc(&head.headers);
        let asked = if is_call {
            asked(&head.headers).ok().flatten()
        } else {
            None
        };
        let limit = match (forward.settings.request_timeout, connected) {
            (RouteTimeout::Own(limit), _) => Ok(limit),
            (RouteTimeout::Pool, Some(connected)) => limit_of_pool(connected),
            (RouteTimeout::Pool, None) => Ok(None),
        };
        if let (Ok(_), Some(connected)) = (&limit, connected) {
            connected.set_request_timeout(None);
        }
        Self {
            origin: Origin {
                peer,
                scheme: *scheme,
            },
            observer,
            // Where the caller has a deadline, it rules.
            limit: limit.ok().flatten().filter(|_| asked.is_none()),
            deadline: asked.and_then(|asked| Instant::now().checked_add(asked)),
        }
    }

    /// What a request that came so may cost.
    pub(super) fn options(&self, settings: &ForwardSettings) -> SendOptions {
        let mut options = SendOptions::default();
        options.deadline = self.deadline;
        options.response_timeout = match self.limit {
            Some(limit) => ResponseTimeout::After(limit),
            None => ResponseTimeout::Off,
        };
        options.hash = Some(match self.origin.peer.to_canonical() {
            IpAddr::V4(peer) => stable_hash(&peer.octets()),
            IpAddr::V6(peer) => stable_hash(&peer.octets()),
        });
        options.retries = settings.retries.0;
        options.observer.clone_from(&self.observer);
        options.hedge_after = settings.hedge_after;
        options.retry = match settings.retry {
            Again::Unsent => Retry::Unsent,
            Again::Idempotent => Retry::Idempotent,
        };
        options
    }

    /// Tells an upstream how long its caller still waits.
    pub(super) fn tell_deadline(&self, fields: &mut HeaderMap) {
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            fields.insert(GRPC_TIMEOUT, render(left));
        }
    }
}

/// The limit is on a dry run: who tries it has to see it.
struct Rehearsed;

/// The limit that the client's pool has for handlers.
fn limit_of_pool(connected: &Connected) -> Result<Option<Duration>, Rehearsed> {
    let Some(pool) = connected.handle().pool() else {
        return Err(Rehearsed);
    };
    let config = pool.config();
    if config.common.dry_run.has(Limit::RequestTimeout) {
        return Err(Rehearsed);
    }
    Ok(config.common.request_timeout)
}
