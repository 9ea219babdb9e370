//! [`victims`]: which connections to give up so that newcomers fit in.
//!
//! The order is that of nginx's `ngx_drain_connections` (the reusable connection that has been idle
//! longest), made fair between sources, so that it is no weapon for whoever opens the most:
//!
//! 1. **Silent** connections, oldest first: nobody loses work with them. A newcomer whose own
//!    source already holds the most begins with those of its own source.
//! 2. **Idle** ones of the source that holds the most (of equal sources, the one idle longest),
//!    again and again: what is taken from a source lowers its count for the next choice.
//!
//! **The share rule.** For a newcomer, another source's idle connection is taken only while that
//! source holds at least as many as the newcomer's source would with the newcomer. So a flood from
//! one source costs smaller sources nothing: once it holds the most, it can only push out its own.
//! A young silent connection is protected by the same rule until [`SILENT_ANY_SOURCE`].
//!
//! What this cannot do: tell a flood from many sources with one connection each from as many honest
//! clients. There only the order remains, silent before idle and the longest idle first.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use crate::Timestamp;

/// A silent connection is not given up sooner, or a burst of honest connects would kill itself: the
/// first bytes come with or right after the ACK that completes the TCP handshake, so 100 ms without
/// any is already late.
pub const SILENT_OLD_ENOUGH: Duration = Duration::from_millis(100);

/// From this age on a silent connection is given up for a newcomer of any source. Not sooner,
/// because a client that connects ahead of its first request is honest; not later, because then a
/// source with many honest clients would lose to as many silent ones.
pub const SILENT_ANY_SOURCE: Duration = Duration::from_secs(1);

/// An idle connection is not given up sooner: its client may be about to send its next request.
pub const IDLE_LONG_ENOUGH: Duration = Duration::from_secs(1);

/// The same where nobody waits for the place and a limit was lowered: all that are idle are to be gone
/// within a second, and half of one is still longer than most clients pause between two requests.
pub const IDLE_FOR_LOWERED: Duration = Duration::from_millis(500);

/// Who a connection comes from: an IPv4 address, or the /64 of an IPv6 address, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub u128);

/// A connection that might be given up.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<K> {
    /// What the caller knows it by.
    pub key: K,
    /// Who it comes from.
    pub source: Source,
    /// What it is doing.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
}

/// What a connection is doing, as far as giving it up is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers build it")]
pub enum Standing {
    /// It has never sent a byte.
    Silent,
    /// It has sent something, and nothing is in flight.
    Idle,
    /// Something is in flight: never given up.
    Busy,
    /// On its way out already: not given up again, and no longer counted against its source, except
    /// for how much the newcomer's own source holds.
    Closing,
}

/// The connections to give up, best first, at most `at_most`; fewer if no other may go.
///
/// `candidates` are *all* connections under the limit that is full, the busy ones too: they say how
/// much each source holds. A newcomer over a limit of its own source is to be refused before asking.
/// Without a newcomer (the limit was lowered) the share rule protects nobody.
///
/// One pass, then a sort of what may be chosen from: 0.5 ms for 15,000 idle connections of as many
/// sources, nearly the same for 32 victims as for one. So under a storm of newcomers give up several
/// at a time (nginx takes up to 32), and let the iterator know its length.
pub fn victims<K: Copy>(
    candidates: impl Iterator<Item = Candidate<K>>,
    newcomer: Option<Source>,
    now: Timestamp,
    at_most: usize,
) -> Vec<K> {
    let mut crowd = Crowd::gather(candidates, newcomer, now);
    let mut victims = crowd.silent(at_most);
    if victims.len() < at_most {
        crowd.idle(at_most - victims.len(), &mut victims);
    }
    victims
}

/// The connections by source.
struct Crowd<K> {
    now: Timestamp,
    newcomer: Option<usize>,
    /// What the newcomer's source would hold with it, zero without a newcomer.
    share: usize,
    /// How many connections each source holds that are not closing.
    live: Vec<usize>,
    silent: Vec<Reclaimable<K>>,
    idle: Vec<Reclaimable<K>>,
}

struct Reclaimable<K> {
    key: K,
    /// An index into [`Crowd::live`].
    source: usize,
    since: Timestamp,
}

impl<K: Copy> Crowd<K> {
    fn gather(
        candidates: impl Iterator<Item = Candidate<K>>,
        newcomer: Option<Source>,
        now: Timestamp,
    ) -> Self {
        let idle_enough = newcomer.map_or(IDLE_FOR_LOWERED, |_| IDLE_LONG_ENOUGH);
        let mut crowd = Self {
            now,
            newcomer: None,
            share: usize::from(newcomer.is_some()),
            live: Vec::new(),
            silent: Vec::new(),
            idle: Vec::new(),
        };
        // Keyed by what peers choose: the hash must stay the keyed one of the standard library.
        let mut indices: HashMap<Source, usize> = HashMap::with_capacity(candidates.size_hint().0);
        for Candidate {
            key,
            source,
            standing,
            since,
        } in candidates
        {
            let index = *indices.entry(source).or_insert_with(|| {
                crowd.live.push(0);
                crowd.live.len() - 1
            });
            if newcomer == Some(source) {
                crowd.newcomer = Some(index);
                crowd.share += 1;
            }
            crowd.live[index] += usize::from(standing != Standing::Closing);
            let age = now - since;
            let reclaimable = Reclaimable {
                key,
                source: index,
                since,
            };
            match standing {
                Standing::Silent if age >= SILENT_OLD_ENOUGH => crowd.silent.push(reclaimable),
                Standing::Idle if age >= idle_enough => crowd.idle.push(reclaimable),
                Standing::Silent | Standing::Idle | Standing::Busy | Standing::Closing => {}
            }
        }
        crowd
    }

    /// Takes silent connections and counts them off their sources.
    fn silent(&mut self, at_most: usize) -> Vec<K> {
        let most = self.live.iter().max().copied().unwrap_or(0);
        let own_first = self.newcomer.filter(|_| self.share > most);
        let (now, own) = (self.now, |silent: &Reclaimable<K>| {
            own_first == Some(silent.source)
        });
        let (free, mut young): (Vec<_>, Vec<_>) = std::mem::take(&mut self.silent)
            .into_iter()
            .partition(|silent| own(silent) || now - silent.since >= SILENT_ANY_SOURCE);

        let mut victims = Vec::new();
        for silent in take_least(free, at_most, |silent| (!own(silent), silent.since)) {
            self.live[silent.source] -= 1;
            victims.push(silent.key);
        }
        young.sort_unstable_by_key(|silent| silent.since);
        for silent in young {
            if victims.len() < at_most && self.may_take_from(silent.source) {
                self.live[silent.source] -= 1;
                victims.push(silent.key);
            }
        }
        victims
    }

    /// The share rule.
    fn may_take_from(&self, source: usize) -> bool {
        self.newcomer == Some(source) || self.live[source] >= self.share
    }

    /// Takes idle connections, each of the source that holds the most at its turn.
    ///
    /// The turn of a connection is known beforehand: the `n`th of its source goes when the source
    /// holds `n` fewer than now. So one sort by that count does for all turns.
    fn idle(mut self, at_most: usize, victims: &mut Vec<K>) {
        self.idle.sort_unstable_by_key(|idle| idle.since);
        let mut turns: Vec<(usize, Reclaimable<K>)> = Vec::with_capacity(self.idle.len());
        for idle in std::mem::take(&mut self.idle) {
            if self.may_take_from(idle.source) {
                let holds = self.live[idle.source];
                self.live[idle.source] -= 1;
                turns.push((holds, idle));
            }
        }
        let rank = |(holds, idle): &(usize, Reclaimable<K>)| (Reverse(*holds), idle.since);
        let taken = take_least(turns, at_most, rank);
        victims.extend(taken.into_iter().map(|(_, idle)| idle.key));
    }
}

/// The `at_most` items of least rank, in order.
fn take_least<T, R: Ord>(mut items: Vec<T>, at_most: usize, rank: impl Fn(&T) -> R) -> Vec<T> {
    if let Some(last) = at_most.checked_sub(1)
        && last < items.len()
    {
        items.select_nth_unstable_by_key(last, &rank);
    }
    items.truncate(at_most);
    items.sort_unstable_by_key(rank);
    items
}

#[cfg(test)]
mod tests;
