//! [`Tally`]: how many connections each source holds in one scope.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::source::SourceKey;

/// The memory of a burst is kept up to so many sources.
const KEPT: usize = 1024;

/// Only sources that hold a connection are in it, so it is bounded by the connections.
///
/// Keyed by what peers choose: the hash stays the keyed one of the standard library.
#[derive(Debug, Default)]
pub(super) struct Tally(HashMap<SourceKey, u32>);

impl Tally {
    pub(super) fn held(&self, source: SourceKey) -> u32 {
        self.0.get(&source).copied().unwrap_or(0)
    }

    /// Counts one more; returns how many that makes.
    pub(super) fn add(&mut self, source: SourceKey) -> u32 {
        let held = self.0.entry(source).or_insert(0);
        *held += 1;
        *held
    }

    pub(super) fn remove(&mut self, source: SourceKey) {
        let Entry::Occupied(mut held) = self.0.entry(source) else {
            debug_assert!(false, "who leaves was counted");
            return;
        };
        *held.get_mut() -= 1;
        if *held.get() == 0 {
            held.remove();
            if self.0.is_empty() && self.0.capacity() > KEPT {
                self.0.shrink_to(KEPT);
            }
        }
    }
}

impl FromIterator<SourceKey> for Tally {
    /// Counts connections by their sources.
    fn from_iter<I: IntoIterator<Item = SourceKey>>(sources: I) -> Self {
        let mut tally = Self::default();
        for source in sources {
            tally.add(source);
        }
        tally
    }
}
