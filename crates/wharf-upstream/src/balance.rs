//! [`Balance`]: how endpoints are chosen, by the laws of `wharf_control::upstream`.

use std::sync::{Mutex, PoisonError};

use std::sync::Arc;
use wharf_control::upstream::{
    Admission, LoadBound, Maglev, Node, SmoothRoundRobin, least_of_random, panicking, pick,
    stable_hash,
};
use wharf_control::{Random, Timestamp};

use crate::endpoint::Endpoint;

/// How endpoints are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Balance {
    /// The one with the least of latency × requests in flight: slow and failing ones get less.
    #[default]
    LeastCost,
    /// In turn, by weight.
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastRequest,
    /// The cheaper of two taken by chance.
    P2c,
    /// The same one for the same hash, within a bound of its load.
    ConsistentHash,
}

impl Balance {
    /// Every way.
    pub const ALL: [Self; 5] = [
        Self::LeastCost,
        Self::RoundRobin,
        Self::LeastRequest,
        Self::P2c,
        Self::ConsistentHash,
    ];

    /// The word in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeastCost => "least_cost",
            Self::RoundRobin => "round_robin",
            Self::LeastRequest => "least_request",
            Self::P2c => "p2c",
            Self::ConsistentHash => "consistent_hash",
        }
    }
}

/// Words that name no [`Balance`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no way to choose endpoints: write least_cost, round_robin, least_request, p2c or consistent_hash"
)]
pub struct UnknownBalance(String);

impl std::str::FromStr for Balance {
    type Err = UnknownBalance;

    fn from_str(word: &str) -> Result<Self, UnknownBalance> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == word);
        found.ok_or_else(|| UnknownBalance(word.to_owned()))
    }
}

/// The endpoints of an upstream as they are at present, and what choosing among them needs.
pub(crate) struct Fleet {
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    balance: Balance,
    round: Mutex<SmoothRoundRobin>,
    ring: Option<Maglev>,
}

impl Fleet {
    pub(crate) fn new(
        endpoints: Vec<Arc<Endpoint>>,
        balance: Balance,
        random: &mut Random,
    ) -> Self {
        let weights = endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let node = |endpoint: &Arc<Endpoint>| Node {
            hash: stable_hash(endpoint.address.to_string().as_bytes()),
            weight: endpoint.weight,
        };
        let ring = (balance == Balance::ConsistentHash)
            .then(|| Maglev::new(&endpoints.iter().map(node).collect::<Vec<_>>()))
            .flatten();
        Self {
            balance,
            round: Mutex::new(SmoothRoundRobin::new(weights, random)),
            ring,
            endpoints,
        }
    }

    /// How many endpoints there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX)
    }

    /// The endpoint to ask, but not `failed` if there is another.
    pub(crate) fn choose(
        &self,
        hash: Option<u64>,
        failed: Option<&Arc<Endpoint>>,
        random: &mut Random,
        now: Timestamp,
    ) -> Option<&Arc<Endpoint>> {
        let all = self.endpoints.len();
        let serves: Vec<bool> = self
            .endpoints
            .iter()
            .map(|it| it.may_be_asked(now))
            .collect();
        let there = serves.iter().filter(|serves| **serves).count();
        let few = panicking(
            u32::try_from(there).unwrap_or(u32::MAX),
            u32::try_from(all).unwrap_or(u32::MAX),
        );
        let other = |i: usize| failed.is_none_or(|it| !Arc::ptr_eq(it, &self.endpoints[i]));
        let chosen = self
            .among(|i| (few || serves[i]) && other(i), hash, random, now)
            .or_else(|| self.among(|i| few || serves[i], hash, random, now))
            .or_else(|| self.among(|_| true, hash, random, now))?;
        let endpoint = &self.endpoints[chosen];
        endpoint.asked(now);
        Some(endpoint)
    }

    fn among(
        &self,
        may: impl Fn(usize) -> bool,
        hash: Option<u64>,
        random: &mut Random,
        now: Timestamp,
    ) -> Option<usize> {
        let latency = |i: usize| {
            let it = &self.endpoints[i];
            may(i).then(|| it.standing().latency_cost(it.in_flight(), it.weight, now))
        };
        let requests = |i: usize| {
            let it = &self.endpoints[i];
            may(i).then(|| it.standing().request_cost(it.in_flight(), it.weight, now))
        };
        let len = self.endpoints.len();
        match (self.balance, &self.ring, hash) {
            (Balance::RoundRobin, ..) => {
                let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
                round.choose(may)
            }
            (Balance::LeastRequest, ..) => pick(len, random, requests),
            (Balance::P2c, ..) => least_of_random::<2>(len, random, latency),
            (Balance::ConsistentHash, Some(ring), Some(hash)) => {
                let total = self.endpoints.iter().map(|it| it.in_flight()).sum();
                let held = |i: usize| may(i).then(|| self.endpoints[i].in_flight());
                ring.bounded(hash, LoadBound::default(), total, held)
            }
            (Balance::LeastCost | Balance::ConsistentHash, ..) => pick(len, random, latency),
        }
    }
}

impl Endpoint {
    fn may_be_asked(&self, now: Timestamp) -> bool {
        !self.is_down() && self.standing().admission(now) != Admission::Leave
    }

    /// Takes the probe, if there is one to take.
    fn asked(&self, now: Timestamp) {
        self.standing().begin_probe(now);
    }
}
