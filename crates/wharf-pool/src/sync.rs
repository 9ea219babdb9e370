//! What threads of a pool meet at: of the standard library and tokio, or of loom, which tries the orders that they can meet in
//! (`tests/interleavings.rs`).

#[cfg(wharf_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(wharf_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
#[cfg(not(wharf_loom))]
pub(crate) use tokio::sync::Notify;

/// Tokio's, each of whose steps another thread may come before: loom cannot look into it.
#[cfg(wharf_loom)]
pub(crate) struct Notify {
    inner: tokio::sync::Notify,
    turn: AtomicUsize,
}

#[cfg(wharf_loom)]
impl Notify {
    pub(crate) fn new() -> Self {
        Self {
            inner: tokio::sync::Notify::new(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        self.turn.fetch_add(1, Ordering::Relaxed);
        self.inner.notified()
    }

    pub(crate) fn notify_waiters(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
        self.inner.notify_waiters();
    }
}
