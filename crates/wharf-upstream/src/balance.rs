//! [`Balance`]: how endpoints are chosen, by the laws of `wharf_control::upstream`.

use std::sync::{Mutex, PoisonError};

use std::sync::Arc;
use wharf_control::upstream::{
    Admission, LoadBound, Maglev, Node, SmoothRoundRobin, least_of_random, pick, stable_hash,
};
use wharf_control::{Random, Timestamp};

use crate::endpoint::{Asks, Endpoint, Load};

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
        let weights = endpoints.iter().map(|endpoint| endpoint.weight()).collect();
        let node = |endpoint: &Arc<Endpoint>| Node {
            hash: stable_hash(endpoint.address.to_string().as_bytes()),
            weight: endpoint.weight(),
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

    /// The endpoint to ask, but not `failed` if there is another. The request is its from now on.
    pub(crate) fn choose(
        &self,
        hash: Option<u64>,
        failed: Option<&Arc<Endpoint>>,
        random: &mut Random,
        now: Timestamp,
    ) -> Option<Load> {
        let few = self
            .endpoints
            .first()
            .is_some_and(|it| it.context.few(self.len()));
        let other = |i: usize| failed.is_none_or(|it| !Arc::ptr_eq(it, &self.endpoints[i]));
        let mut ask = Ask {
            few,
            hash,
            now,
            random,
        };
        let tries: [&dyn Fn(usize) -> bool; 3] = [&other, &other, &|_| true];
        for may in tries {
            if let Some(chosen) = self.among(may, &mut ask)
                && let Some(load) = self.endpoints[chosen].asked(few, now)
            {
                return Some(load);
            }
        }
        // Better one that does badly than nobody.
        ask.few = true;
        let chosen = self
            .among(&other, &mut ask)
            .or_else(|| self.among(&|_| true, &mut ask))?;
        Some(Load::on(&self.endpoints[chosen], Asks::Nothing))
    }

    fn among(&self, may: &dyn Fn(usize) -> bool, ask: &mut Ask<'_>) -> Option<usize> {
        let (few, now) = (ask.few, ask.now);
        let cost = |i: usize| {
            self.endpoints[i]
                .cost(self.balance, few, now)
                .filter(|_| may(i))
        };
        let len = self.endpoints.len();
        match (self.balance, &self.ring, ask.hash) {
            (Balance::RoundRobin, ..) => {
                let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
                round.choose(|i| cost(i).is_some())
            }
            (Balance::P2c, ..) => least_of_random::<2>(len, ask.random, cost),
            (Balance::ConsistentHash, Some(ring), Some(hash)) => {
                let total = self.endpoints.iter().map(|it| it.in_flight()).sum();
                let held = |i: usize| cost(i).map(|_| self.endpoints[i].in_flight());
                ring.bounded(hash, LoadBound::default(), total, held)
            }
            (Balance::LeastCost | Balance::LeastRequest | Balance::ConsistentHash, ..) => {
                pick(len, ask.random, cost)
            }
        }
    }
}

/// What a request asks of the choice.
struct Ask<'a> {
    /// Whether so few endpoints are well that all are asked: the rest could not carry the load.
    few: bool,
    hash: Option<u64>,
    now: Timestamp,
    random: &'a mut Random,
}

impl Endpoint {
    /// What asking it costs; `None` if it may not be asked.
    fn cost(&self, balance: Balance, few: bool, now: Timestamp) -> Option<f64> {
        let standing = self.standing();
        let left = self.is_down() || standing.admission(now) == Admission::Leave;
        if left && !few {
            return None;
        }
        let in_flight = self.in_flight();
        Some(match balance {
            Balance::LeastRequest => standing.request_cost(in_flight, self.weight(), now),
            Balance::LeastCost | Balance::RoundRobin | Balance::P2c | Balance::ConsistentHash => {
                standing.latency_cost(in_flight, self.weight(), now)
            }
        })
    }

    /// Takes the probe, where there is one to take; nothing if somebody else was first.
    fn asked(self: &Arc<Self>, few: bool, now: Timestamp) -> Option<Load> {
        let mut standing = self.standing();
        let asks = match standing.admission(now) {
            Admission::Serve => Some(Asks::Nothing),
            Admission::Probe => standing.begin_probe(now).then_some(Asks::Probe),
            Admission::Leave => few.then_some(Asks::Nothing),
        };
        // What a load does when it ends takes the lock again.
        drop(standing);
        asks.map(|asks| Load::on(self, asks))
    }
}
