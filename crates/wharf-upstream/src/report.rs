//! [`EndpointReport`]: one endpoint as it stands, for whoever asks.

use std::time::Duration;

use wharf_control::upstream::Admission;

use crate::address::EndpointAddress;
use crate::endpoint::Endpoint;
use crate::tally::EndpointMetrics;
use crate::upstream::Upstream;

/// One endpoint as it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EndpointReport {
    /// Where it is.
    pub address: EndpointAddress,
    /// What it is given.
    pub state: EndpointState,
    /// Connections that are open.
    pub active: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// Those of them that were upgraded, and are somebody's for as long as he likes.
    pub sessions: u32,
    /// Connections on their way into being.
    pub connecting: u32,
    /// Requests that wait for one.
    pub waiting: u32,
    /// Requests that it was given and that have not ended, those that wait included.
    pub in_flight: u32,
    /// How long it takes to answer: an average that believes the worse at once.
    pub latency: Duration,
    /// Answers that were its failure, or did not come, since start.
    pub failures: u64,
    /// What it has done since start.
    pub metrics: EndpointMetrics,
    /// Its share, beside the others' weights.
    pub weight: u32,
}

/// What an endpoint is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EndpointState {
    /// Requests; it has no connection yet.
    Warming,
    /// Requests.
    Ready,
    /// Nothing, for its answers were failures; or one request, to see whether it is back.
    Ejected,
    /// Nothing, for its health checks fail.
    Down,
}

impl EndpointState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Warming, Self::Ready, Self::Ejected, Self::Down];

    /// The word in the admin API and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warming => "warming",
            Self::Ready => "ready",
            Self::Ejected => "ejected",
            Self::Down => "down",
        }
    }
}

impl Upstream {
    /// Every endpoint as it stands, in the order of configuration.
    pub fn endpoints(&self) -> Vec<EndpointReport> {
        self.fleet()
            .endpoints
            .iter()
            .map(|it| it.report())
            .collect()
    }
}

impl Endpoint {
    fn report(&self) -> EndpointReport {
        let (usage, now) = (self.usage(), self.context.clock.now());
        let sessions = self.sessions();
        let active = usage.in_use + usage.idle + sessions;
        let standing = self.standing();
        let state = match standing.admission(now) {
            _ if self.is_down() => EndpointState::Down,
            Admission::Serve if active == 0 => EndpointState::Warming,
            Admission::Serve => EndpointState::Ready,
            Admission::Probe | Admission::Leave => EndpointState::Ejected,
        };
        EndpointReport {
            address: self.address.clone(),
            state,
            active,
            idle: usage.idle,
            sessions,
            connecting: usage.connecting,
            waiting: usage.waiting,
            in_flight: self.in_flight(),
            latency: standing.latency(now),
            failures: standing.failures,
            metrics: self.tally.read(),
            weight: self.weight(),
        }
    }
}
