//! [`Laws`]: the balancing laws of wharf, one copy of their state for each client.

use wharf_control::upstream::{
    Admission, EjectionBudget, LATENCY_UNKNOWN, Outcome, Outlier, OutlierSettings, PeakEwma,
    PhantomLoad, SmoothRoundRobin, latency_cost, least, least_of_random, request_cost,
};
use wharf_control::{Random, Timestamp};

use super::{Balancer, Ended, Server};

/// How a server is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a row of the table each")]
pub enum Law {
    /// By chance.
    Chance,
    /// In turn.
    RoundRobin,
    /// The least in flight, of all.
    LeastRequest,
    /// The less in flight, of two.
    TwoChoices,
    /// The lesser latency × work, of two.
    PeakOfTwo,
    /// The least latency × work, of all.
    LeastCost,
}

/// What a failure is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a column of the table each")]
pub enum Failures {
    /// A quick answer: what happens without these laws.
    Answers,
    /// A cost: 5 s of latency, or phantom load.
    Cost,
    /// A reason to eject, and otherwise a quick answer.
    Eject,
}

/// A law, applied by each client to what it has seen itself.
#[derive(Debug)]
pub struct Laws {
    law: Law,
    failures: Failures,
    clients: Vec<Client>,
    random: Random,
}

#[derive(Debug)]
struct Client {
    endpoints: Vec<Endpoint>,
    budget: EjectionBudget,
    turns: SmoothRoundRobin,
}

#[derive(Clone, Debug)]
struct Endpoint {
    in_flight: u32,
    latency: PeakEwma,
    phantom: PhantomLoad,
    outlier: Outlier,
}

impl Laws {
    /// A law among so many servers and clients.
    pub fn new(law: Law, failures: Failures, servers: u32, clients: usize) -> Self {
        let mut random = Random::new(11);
        let start = Timestamp::ZERO;
        let endpoint = Endpoint {
            in_flight: 0,
            latency: PeakEwma::new(LATENCY_UNKNOWN, start),
            phantom: PhantomLoad::new(),
            outlier: Outlier::new(OutlierSettings::default(), start),
        };
        let client = |_| Client {
            endpoints: vec![endpoint.clone(); servers as usize],
            budget: EjectionBudget::new(servers),
            turns: SmoothRoundRobin::new(vec![1; servers as usize], &mut random),
        };
        Self {
            law,
            failures,
            clients: (0..clients).map(client).collect(),
            random,
        }
    }
}

impl Balancer for Laws {
    fn choose(&mut self, client: usize, servers: &[Server], now: Timestamp) -> usize {
        let random = &mut self.random;
        let client = &mut self.clients[client];
        let endpoints = &client.endpoints;
        let len = servers.len();
        let may = |server: usize| endpoints[server].outlier.admission(now) != Admission::Leave;
        let requests = |server: usize| {
            let endpoint = &endpoints[server];
            may(server)
                .then(|| request_cost(endpoint.in_flight, endpoint.phantom.requests(now), 1.0))
        };
        let latency = |server: usize| {
            let endpoint = &endpoints[server];
            may(server).then(|| latency_cost(&endpoint.latency, endpoint.in_flight, 1.0, now))
        };
        let chosen = match self.law {
            Law::Chance => least_of_random::<1>(len, random, |server| may(server).then_some(1.0)),
            Law::RoundRobin => client.turns.choose(may),
            Law::LeastRequest => least(len, random, requests),
            Law::TwoChoices => least_of_random::<2>(len, random, requests),
            Law::PeakOfTwo => least_of_random::<2>(len, random, latency),
            Law::LeastCost => least(len, random, latency),
        };
        // Of servers none of which may be asked, any is: there is nobody to refuse a request here.
        let chosen = chosen.unwrap_or_else(|| random.below(len));
        let endpoint = &mut client.endpoints[chosen];
        endpoint.outlier.begin_probe(now);
        endpoint.in_flight += 1;
        chosen
    }

    fn ended(&mut self, ended: &Ended, now: Timestamp) {
        let client = &mut self.clients[ended.client];
        let endpoint = &mut client.endpoints[ended.server];
        endpoint.in_flight -= 1;
        if ended.failed && self.failures == Failures::Cost {
            endpoint.latency.on_failure(None, now);
            endpoint.phantom.on_failure(now);
        } else {
            endpoint.latency.on_answer(ended.latency, now);
        }
        if self.failures == Failures::Eject {
            let outcome = if ended.failed {
                Outcome::Failure
            } else {
                Outcome::Success
            };
            let budget = &mut client.budget;
            endpoint
                .outlier
                .record(outcome, budget, &mut self.random, now);
        }
    }
}
