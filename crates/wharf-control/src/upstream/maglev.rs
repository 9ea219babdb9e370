//! [`Maglev`]: the same endpoint for the same key, nearly whatever else comes and goes.

use super::LoadBound;
use crate::jitter::{GOLDEN, mix};
use crate::rounding::{ceil, floor};

/// One endpoint of a [`Maglev`] table.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// A number that names it wherever the table is built: [`stable_hash`](super::stable_hash) of its
    /// address. Of two nodes with the same number one gets what the other leaves.
    pub hash: u64,
    /// Its share of the keys, beside the others' weights. Zero gets none.
    pub weight: u32,
}

/// Google's consistent hash (Eisenbud et al., NSDI 2016): a table of 65,537 places, each endpoint
/// having its own order in which it takes them in turn.
///
/// Each endpoint has as many places as its weight says, but for one. A lookup is one division. When an
/// endpoint goes, its keys are spread over the others, and about one in a hundred of theirs moves too.
/// The table does not depend on the order of the nodes. 256 KiB; built in a few milliseconds, when
/// membership changes and not when somebody is ejected for a while.
#[derive(Clone, Debug)]
pub struct Maglev {
    table: Vec<u32>,
    /// Of each node, its weight in the sum of all.
    shares: Vec<f64>,
}

impl Maglev {
    /// How many places there are: a prime, so that every step visits all of them.
    pub const PLACES: u32 = 65_537;

    /// The table for these nodes; a key's endpoint is an index into them. `None` if no node has weight.
    pub fn new(nodes: &[Node]) -> Option<Self> {
        let heaviest = nodes
            .iter()
            .map(|node| node.weight)
            .max()
            .filter(|&w| w > 0)?;
        let total: f64 = nodes.iter().map(|node| f64::from(node.weight)).sum();
        Some(Self {
            table: fill(nodes, heaviest, total),
            shares: nodes
                .iter()
                .map(|node| f64::from(node.weight) / total)
                .collect(),
        })
    }

    /// The endpoint of a key, given by its hash, which must be evenly spread.
    pub fn endpoint(&self, key: u64) -> usize {
        self.table[place(key)] as usize
    }

    /// The endpoint of a key, or the next choice for it that is under its bound.
    ///
    /// `in_flight` says what an endpoint holds, `None` that it must not be asked; `total` is what all hold.
    /// Asked is the first of the key's choices that holds less than `ceil(factor · (total + 1) · share)`:
    /// so no endpoint ever holds more than the factor over its fair part (Mirrokni, Thorup and
    /// Zadimoghaddam, 2016). The choices jump about (arXiv 1908.08762), so what is too much for one
    /// endpoint is not too much for its neighbour next. If all that may be asked are at their bound, since others
    /// may not, the least loaded is asked. `None` if nobody may.
    pub fn bounded(
        &self,
        key: u64,
        bound: LoadBound,
        total: u32,
        in_flight: impl Fn(usize) -> Option<u32>,
    ) -> Option<usize> {
        let room = |endpoint: usize| {
            in_flight(endpoint).is_some_and(|held| held < bound.most(total, self.shares[endpoint]))
        };
        let mut choice = key;
        // By then each endpoint has been looked at, but for one in a few hundred; the scan finds that.
        for _ in 0..self.shares.len().saturating_mul(4).min(MOST_JUMPS) {
            let endpoint = self.endpoint(choice);
            if room(endpoint) {
                return Some(endpoint);
            }
            choice = mix(choice);
        }
        let with_room = (0..self.shares.len()).find(|&endpoint| room(endpoint));
        with_room.or_else(|| self.least_loaded(in_flight))
    }

    fn least_loaded(&self, in_flight: impl Fn(usize) -> Option<u32>) -> Option<usize> {
        let load = |endpoint: usize| {
            let held = in_flight(endpoint)?;
            Some((f64::from(held) + 1.0) / self.shares[endpoint])
        };
        (0..self.shares.len())
            .filter(|&endpoint| self.shares[endpoint] > 0.0)
            .filter_map(|endpoint| Some((load(endpoint)?, endpoint)))
            .min_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, endpoint)| endpoint)
    }
}

const MOST_JUMPS: usize = 64;
const FREE: u32 = u32::MAX;

/// Where an endpoint is in its order of places.
struct Turn {
    node: u32,
    place: u32,
    step: u32,
    /// Relative to the heaviest: how many places it takes in a round, on average.
    pace: f64,
    /// How many places it may have after the present round.
    due: f64,
    taken: u32,
    /// How many it gets in the end.
    quota: u32,
}

fn fill(nodes: &[Node], heaviest: u32, total: f64) -> Vec<u32> {
    let mut turns: Vec<Turn> = (0_u32..)
        .zip(nodes)
        .filter(|(_, node)| node.weight > 0)
        .map(|(index, node)| Turn {
            node: index,
            place: below(mix(node.hash), Maglev::PLACES),
            step: below(mix(node.hash ^ GOLDEN), Maglev::PLACES - 1) + 1,
            pace: f64::from(node.weight) / f64::from(heaviest),
            due: 0.0,
            taken: 0,
            quota: 0,
        })
        .collect();
    // Turns go by name and not by place in the list: every gateway has its own order of the list.
    turns.sort_unstable_by_key(|turn| nodes[turn.node as usize].hash);
    apportion(
        &mut turns,
        f64::from(Maglev::PLACES) * f64::from(heaviest) / total,
    );

    let mut table = vec![FREE; Maglev::PLACES as usize];
    let mut free = Maglev::PLACES;
    while free > 0 {
        for turn in &mut turns {
            turn.due += turn.pace;
            if turn.taken < turn.quota.min(ceil(turn.due)) {
                turn.take(&mut table);
                free -= 1;
            }
        }
    }
    table
}

/// Gives out the places by the largest remainders, so that each quota is off by less than one.
///
/// `per_pace` is how many places a pace of 1 is worth. With more nodes than places some get none.
fn apportion(turns: &mut [Turn], per_pace: f64) {
    let mut left = Maglev::PLACES;
    for turn in &mut *turns {
        turn.quota = floor(turn.pace * per_pace).min(left);
        left -= turn.quota;
    }
    let remainder = |turn: &Turn| turn.pace * per_pace - f64::from(turn.quota);
    let mut by_remainder: Vec<&mut Turn> = turns.iter_mut().collect();
    by_remainder.sort_by(|one, other| remainder(other).total_cmp(&remainder(one)));
    // Less than one was cut off each, so there are fewer places left than turns; but for errors of
    // rounding, which the modulus takes care of.
    let count = by_remainder.len();
    for place in 0..left as usize {
        by_remainder[place % count].quota += 1;
    }
}

impl Turn {
    fn take(&mut self, table: &mut [u32]) {
        while table[self.place as usize] != FREE {
            self.place = (self.place + self.step) % Maglev::PLACES;
        }
        table[self.place as usize] = self.node;
        self.taken += 1;
    }
}

fn place(key: u64) -> usize {
    below(key, Maglev::PLACES) as usize
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below a u32"
)]
fn below(hash: u64, end: u32) -> u32 {
    (hash % u64::from(end)) as u32
}

#[cfg(test)]
mod tests;
