//! What happens to connections and pools, told to whoever listens.
//!
//! Two ways to listen: a [`Subscription`] is a stream of its own pace, behind a bounded queue that
//! drops the oldest and counts them; a callback runs where the event happens, so it must be quick.
//! Nobody who listens can slow a connection down, and with nobody listening an event costs one
//! atomic load.

mod event;

pub use event::{Event, EventKind};

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// How many events a subscription may lag behind before it loses the oldest.
pub const QUEUE: usize = 1024;

type Callback = Arc<dyn Fn(&Event) + Send + Sync>;

/// The callbacks and their numbers. Replaced as a whole, so that telling needs no copy.
type Callbacks = Arc<[(u64, Callback)]>;

/// Where events are told and heard. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

struct Shared {
    sender: broadcast::Sender<Event>,
    /// Subscriptions and callbacks together: zero means that nobody listens.
    listening: AtomicUsize,
    callbacks: Mutex<Callbacks>,
    next: AtomicU64,
    dropped: AtomicU64,
}

impl Events {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            sender: broadcast::Sender::new(QUEUE),
            listening: AtomicUsize::new(0),
            callbacks: Mutex::new(Arc::from([])),
            next: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A stream of all events from now on.
    pub fn subscribe(&self) -> Subscription {
        let receiver = self.shared.sender.subscribe();
        self.shared.listening.fetch_add(1, Ordering::Relaxed);
        Subscription {
            receiver,
            lost: 0,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Calls `callback` with every event, on the thread where it happens and before the connection
    /// goes on, until the [`CallbackGuard`] is dropped; an event that is being told at that moment
    /// may still reach it. A panic in it is caught and ends nothing.
    pub fn on(&self, callback: impl Fn(&Event) + Send + Sync + 'static) -> CallbackGuard {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let callback: Callback = Arc::new(callback);
        self.shared.replace(|there| {
            there
                .iter()
                .cloned()
                .chain(std::iter::once((id, Arc::clone(&callback))))
                .collect()
        });
        self.shared.listening.fetch_add(1, Ordering::Relaxed);
        CallbackGuard {
            id,
            shared: Arc::downgrade(&self.shared),
        }
    }

    /// How many events subscriptions lost because they were too slow, as far as they have noticed:
    /// a subscription counts what it lost when it reads on, or when it is dropped.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Tells an event; `make` is not called if nobody listens.
    pub(crate) fn tell(&self, make: impl FnOnce() -> Event) {
        if self.shared.listening.load(Ordering::Relaxed) == 0 {
            return;
        }
        let event = make();
        // Not under the lock: a callback may add and remove others and itself.
        let callbacks = Arc::clone(&self.shared.callbacks());
        for (_, callback) in callbacks.iter() {
            if catch_unwind(AssertUnwindSafe(|| callback(&event))).is_err() {
                tracing::error!(event = event.kind.as_str(), "an event callback panicked");
            }
        }
        // Without a subscription the event has been told to all there are.
        drop(self.shared.sender.send(event));
    }
}

impl Shared {
    fn callbacks(&self) -> std::sync::MutexGuard<'_, Callbacks> {
        self.callbacks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, next: impl FnOnce(&[(u64, Callback)]) -> Callbacks) {
        let before = {
            let mut callbacks = self.callbacks();
            let next = next(&callbacks);
            std::mem::replace(&mut *callbacks, next)
        };
        // What a callback owns is dropped with it, and may listen itself: not under the lock.
        drop(before);
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

/// A stream of events from its subscription on.
pub struct Subscription {
    receiver: broadcast::Receiver<Event>,
    lost: u64,
    shared: Arc<Shared>,
}

impl Subscription {
    /// How many events it has lost so far because it was too slow.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The next event; `None` once there can be no more.
    ///
    /// # Cancel safety
    ///
    /// A dropped call loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(lost)) => self.lose(lost),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The next event that is already there.
    pub fn try_next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(lost)) => self.lose(lost),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    fn lose(&mut self, lost: u64) {
        self.lost += lost;
        self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.listening.fetch_sub(1, Ordering::Relaxed);
        // What it had lost and not noticed.
        if let Err(TryRecvError::Lagged(lost)) = self.receiver.try_recv() {
            self.lose(lost);
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("waiting", &self.receiver.len())
            .finish_non_exhaustive()
    }
}

/// Keeps a callback listening; dropping it takes the callback off.
#[must_use = "dropping it takes the callback off again"]
pub struct CallbackGuard {
    id: u64,
    shared: Weak<Shared>,
}

impl Drop for CallbackGuard {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.replace(|there| {
                there
                    .iter()
                    .filter(|(id, _)| *id != self.id)
                    .cloned()
                    .collect()
            });
            shared.listening.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl std::fmt::Debug for CallbackGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackGuard").finish_non_exhaustive()
    }
}
