//! [`Sources`]: how many connections each source holds, in each scope.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use smallvec::SmallVec;

use super::ScopeId;
use crate::Source;

/// The memory of a burst is kept up to so many sources.
const KEPT: usize = 1024;

/// Only sources that hold a connection are in it, so it is bounded by the connections.
///
/// Keyed by what peers choose: the hash stays the keyed one of the standard library.
#[derive(Debug, Default)]
pub(super) struct Sources(HashMap<Key, Tally>);

/// A source in half its bits, as a million of them are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(u64);

impl Key {
    /// A /64 is its upper half. An IPv4 address is its 32 bits, which as an upper half would lie in
    /// `::/32`, where no peer has an address (RFC 4291, 2.5).
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the half that is kept is the one that tells"
    )]
    fn of(source: Source) -> Self {
        let (upper, lower) = ((source.0 >> 64) as u64, source.0 as u32);
        Self(if upper == 0 { u64::from(lower) } else { upper })
    }
}

/// What one source holds, by scope. A connection is counted in three.
#[derive(Debug, Default)]
struct Tally(SmallVec<[(ScopeId, u32); 3]>);

impl Tally {
    fn position(&self, scope: ScopeId) -> Option<usize> {
        self.0.iter().position(|(there, _)| *there == scope)
    }

    fn held(&self, scope: ScopeId) -> u32 {
        self.position(scope).map_or(0, |at| self.0[at].1)
    }

    fn add(&mut self, scope: ScopeId) {
        match self.position(scope) {
            Some(at) => self.0[at].1 += 1,
            None => self.0.push((scope, 1)),
        }
    }

    fn remove(&mut self, scope: ScopeId) {
        if let Some(at) = self.position(scope) {
            self.0[at].1 -= 1;
            if self.0[at].1 == 0 {
                self.0.swap_remove(at);
            }
        }
    }
}

impl Sources {
    /// How many sources hold something.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many connections `source` holds in `scope`.
    pub(super) fn held(&self, source: Source, scope: ScopeId) -> u32 {
        self.0
            .get(&Key::of(source))
            .map_or(0, |tally| tally.held(scope))
    }

    /// Counts one more in each of `scopes`.
    pub(super) fn add(&mut self, source: Source, scopes: &[ScopeId]) {
        match self.0.entry(Key::of(source)) {
            Entry::Occupied(mut there) => {
                for scope in scopes {
                    there.get_mut().add(*scope);
                }
            }
            Entry::Vacant(place) => {
                place.insert(Tally(scopes.iter().map(|scope| (*scope, 1)).collect()));
            }
        }
    }

    /// Counts one less in each of `scopes`.
    pub(super) fn remove(&mut self, source: Source, scopes: &[ScopeId]) {
        let Entry::Occupied(mut there) = self.0.entry(Key::of(source)) else {
            return;
        };
        let tally = there.get_mut();
        for scope in scopes {
            tally.remove(*scope);
        }
        if tally.0.is_empty() {
            there.remove();
            if self.0.is_empty() && self.0.capacity() > KEPT {
                self.0.shrink_to(KEPT);
            }
        }
    }
}
