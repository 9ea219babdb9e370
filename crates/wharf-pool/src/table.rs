//! The table of live connections by identity: sharded, so that opening, closing and looking do not
//! meet.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError};

use crossbeam_utils::CachePadded;

use crate::ConnId;
use crate::sync::{Mutex, MutexGuard};

const SHARDS: usize = 64;

/// A shard gives back its memory once it is empty again, but for so many places.
const KEPT: usize = 64;

type Shard<E> = HashMap<ConnId, Arc<E>, BuildHasherDefault<Mix>>;

#[derive(Debug)]
pub(crate) struct Table<E> {
    shards: Box<[CachePadded<Mutex<Shard<E>>>]>,
}

impl<E> Table<E> {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| CachePadded::default()).collect(),
        }
    }

    pub(crate) fn insert(&self, id: ConnId, entry: Arc<E>) {
        let replaced = self.shard_of(id).insert(id, entry);
        debug_assert!(replaced.is_none(), "an identity is given once");
    }

    pub(crate) fn remove(&self, id: ConnId) {
        let mut shard = self.shard_of(id);
        let removed = shard.remove(&id);
        if shard.is_empty() && shard.capacity() > KEPT {
            shard.shrink_to(KEPT);
        }
        // The last owner of an entry runs its destructor: not under the lock.
        drop(shard);
        drop(removed);
    }

    pub(crate) fn get(&self, id: ConnId) -> Option<Arc<E>> {
        self.shard_of(id).get(&id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Calls `visit` for each entry, shard by shard with that shard locked: it must be quick and
    /// must not open or close a connection.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Arc<E>)) {
        self.shards
            .iter()
            .for_each(|shard| lock(shard).values().for_each(&mut visit));
    }

    /// The entries for which `wanted` holds, in no order.
    pub(crate) fn select(&self, wanted: impl Fn(&E) -> bool) -> Vec<Arc<E>> {
        let mut found = Vec::new();
        self.for_each(|entry| {
            if wanted(entry) {
                found.push(Arc::clone(entry));
            }
        });
        found
    }

    fn shard_of(&self, id: ConnId) -> MutexGuard<'_, Shard<E>> {
        #[expect(clippy::cast_possible_truncation, reason = "taken modulo the shards")]
        lock(&self.shards[id.as_u64() as usize % SHARDS])
    }
}

fn lock<E>(shard: &Mutex<Shard<E>>) -> MutexGuard<'_, Shard<E>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Identities are counted up by ourselves, so no peer can make them collide; and those that open one
/// after the other stand one after the other, on the same cache line.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write_u64(&mut self, id: u64) {
        let order = id / SHARDS as u64;
        // The map takes the bucket from the low bits, and from the high ones a tag, which tells
        // neighbours apart (Fibonacci hashing).
        self.0 = order ^ order.wrapping_mul(0x9e37_79b9_7f4a_7c15) & TAG;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

const TAG: u64 = 0x7f << 57;
