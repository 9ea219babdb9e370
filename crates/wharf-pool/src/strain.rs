//! [`Strain`]: how short of memory the process is, as everybody sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use wharf_control::{Rung, share_of};

/// How short of memory the process is. Whoever watches it says so by
/// [`Registry::relieve`](crate::Registry::relieve); to look is one load of a line that is hardly ever written.
#[derive(Debug, Default)]
pub struct Strain {
    /// The place of the rung in [`Rung::ALL`].
    rung: AtomicU8,
    /// The bits of the pressure.
    pressure: AtomicU64,
    /// The memory that the process may use, in bytes; zero while nobody has said.
    memory: AtomicU64,
    /// How many connections share it.
    sharing: AtomicU64,
}

impl Strain {
    /// How far the server goes now.
    pub fn rung(&self) -> Rung {
        Rung::ALL[usize::from(self.rung.load(Ordering::Relaxed))]
    }

    /// Whether answers are the last of their connections.
    pub fn parts(&self) -> bool {
        self.rung() >= Rung::Parting
    }

    /// Whether newcomers are turned away.
    pub fn refuses(&self) -> bool {
        self.rung() >= Rung::Refusing
    }

    /// Notes how much memory the process may use; `None` if that is not to matter.
    pub fn set_memory(&self, bytes: Option<u64>) {
        self.memory.store(bytes.unwrap_or(0), Ordering::Relaxed);
    }

    /// What one more connection may keep for its peer, of those that let peers fill buffers.
    pub fn share(self: &Arc<Self>) -> Share {
        let sharing = self.sharing.fetch_add(1, Ordering::Relaxed) + 1;
        let memory = self.memory.load(Ordering::Relaxed);
        Share {
            strain: Arc::clone(self),
            bytes: (memory > 0).then(|| share_of(memory, sharing)),
        }
    }

    /// What is used of what may be used: 1 is the end.
    pub(crate) fn pressure(&self) -> f64 {
        f64::from_bits(self.pressure.load(Ordering::Relaxed))
    }

    /// Notes it; returns the rung before.
    pub(crate) fn set(&self, rung: Rung, pressure: f64) -> Rung {
        self.pressure.store(pressure.to_bits(), Ordering::Relaxed);
        Rung::ALL[usize::from(self.rung.swap(rung as u8, Ordering::Relaxed))]
    }
}

/// What a connection may keep for its peer. Dropped, others may have more.
#[derive(Debug)]
pub struct Share {
    strain: Arc<Strain>,
    bytes: Option<u64>,
}

impl Share {
    /// So many bytes at most; `None` if nobody has said how much memory there is.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.strain.sharing.fetch_sub(1, Ordering::Relaxed);
    }
}
