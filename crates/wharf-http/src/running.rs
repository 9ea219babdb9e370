//! [`Running`]: the handle of a server that serves.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio_util::sync::DropGuard;
use wharf_pool::events::Events;
use wharf_pool::{ListenerName, PoolName, Registry, ServingState};

use crate::change::ListenerChange;
use crate::connection::HttpConnection;
use crate::drain::{Drain, DrainReport, DrainSettings};
use crate::grpc::Calls;
use crate::listening::Listening;
use crate::observer::RequestObserver;
use crate::tallies::{ListenerTally, Tallies};
use crate::tls::Handshakes;

/// A server that serves. Cheap to clone; the last clone that is dropped ends it without a drain.
#[derive(Clone, Debug)]
pub struct Running {
    inner: Arc<Inner>,
}

/// What a server that serves is made of.
pub(crate) struct Inner {
    pub(crate) drain: Drain,
    pub(crate) observer: Option<Arc<dyn RequestObserver>>,
    /// Where accept loops and connections run.
    pub(crate) runtime: Handle,
    /// Held by whoever changes the listeners, from the first look to the last effect.
    pub(crate) changing: tokio::sync::Mutex<()>,
    listening: Mutex<Vec<Listening>>,
    pub(crate) handshakes: Handshakes,
    pub(crate) calls: Calls,
    pub(crate) tallies: Tallies,
    #[expect(dead_code, reason = "held for its drop")]
    ticking: DropGuard,
}

impl Inner {
    fn listening(&self) -> MutexGuard<'_, Vec<Listening>> {
        self.listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many listeners there are.
    pub(crate) fn listeners(&self) -> usize {
        self.listening().len()
    }

    /// The sockets of these listeners, by the addresses that were asked for.
    pub(crate) fn sockets_of(&self, names: &[ListenerName]) -> Vec<(ListenerName, SocketAddr)> {
        let listening = self.listening();
        let of_them = listening.iter().filter(|it| names.contains(&it.name));
        of_them
            .filter_map(|it| Some((it.name.clone(), it.stands_at()?)))
            .collect()
    }

    pub(crate) fn has_listener(&self, name: &ListenerName) -> bool {
        self.listening().iter().any(|it| it.name == *name)
    }

    pub(crate) fn has_pool(&self, name: &PoolName) -> bool {
        self.listening().iter().any(|it| it.has_pool(name))
    }

    /// Takes the listeners of these names off the list.
    pub(crate) fn take(&self, names: &[ListenerName]) -> Vec<Listening> {
        let mut listening = self.listening();
        listening
            .extract_if(.., |it| names.contains(&it.name))
            .collect()
    }

    /// Puts a listener on the list.
    pub(crate) fn put(&self, it: Listening) {
        self.listening().push(it);
    }

    /// Runs what may go on after the change that began it. It ends with the listeners at the latest.
    pub(crate) fn outlast(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.drain.closing.clone();
        let task = async move { closing.run_until_cancelled(task).await };
        self.drain.acceptors.spawn_on(task, &self.runtime);
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("drain", &self.drain)
            .field("listening", &self.listening())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.drain.closing.cancel();
        // Nothing keeps time from now on, so nobody may stay: not those that are here, not those
        // that a lobby or a backlog still lets in.
        self.drain.lame.abandon();
        let abort = wharf_pool::CloseReason::DrainDeadline;
        self.drain
            .registry
            .connections()
            .iter()
            .for_each(|it| it.abort(abort));
    }
}

impl Running {
    pub(crate) fn new(
        drain: Drain,
        observer: Option<Arc<dyn RequestObserver>>,
        (handshakes, calls): (Handshakes, Calls),
        ticking: DropGuard,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                drain,
                observer,
                runtime: Handle::current(),
                changing: tokio::sync::Mutex::default(),
                listening: Mutex::default(),
                handshakes,
                calls,
                tallies: Tallies::default(),
                ticking,
            }),
        }
    }

    /// Begins a change of the listeners: others opened, some changed, some removed, while the rest
    /// serves on.
    pub fn change(&self) -> ListenerChange {
        ListenerChange::new(Arc::clone(&self.inner))
    }

    /// How the server is to end. Without effect once it does.
    pub fn set_drain(&self, settings: DrainSettings) {
        self.inner.drain.plan.set(settings);
    }

    /// Where each listener listens.
    pub fn addresses(&self) -> Vec<(ListenerName, SocketAddr)> {
        let listening = self.inner.listening();
        listening
            .iter()
            .map(|it| (it.name.clone(), it.address))
            .collect()
    }

    /// Newcomers of a listener that are accepted and neither let in nor gone: they wait for a slot,
    /// or are being refused.
    pub fn refusing(&self, listener: &ListenerName) -> usize {
        let listening = self.inner.listening();
        let of_it = listening.iter().filter(|it| it.name == *listener);
        of_it.map(|it| it.lobby.occupied()).sum()
    }

    /// The TLS handshakes that are under way, and how many may be.
    pub fn tls_handshakes(&self) -> &Handshakes {
        &self.inner.handshakes
    }

    /// What the connections of a listener have come to, beyond what every pool counts.
    pub fn tally(&self, listener: &ListenerName) -> ListenerTally {
        self.inner.tallies.read(listener)
    }

    /// How gRPC calls go, method by method.
    pub fn grpc_calls(&self) -> &Calls {
        &self.inner.calls
    }

    /// Every pool, listener and connection.
    pub fn registry(&self) -> &Registry<HttpConnection> {
        &self.inner.drain.registry
    }

    /// Where events are told.
    pub fn events(&self) -> &Events {
        self.registry().events()
    }

    /// Ends the server without losing a request, as [`DrainSettings`](crate::DrainSettings) say. A
    /// second call waits for the first and has the same report.
    ///
    /// # Cancel safety
    ///
    /// Dropped by all who wait for it, the drain stops where it is: to go on, call it again.
    pub async fn drain(&self) -> DrainReport {
        self.inner.drain.run().await
    }

    /// Whether a drain has begun.
    pub fn is_draining(&self) -> bool {
        self.registry().state() == ServingState::Draining
    }

    /// Waits until no listener accepts any more: after a drain has begun, or all have failed.
    pub async fn stopped(&self) {
        self.inner.drain.acceptors.close();
        self.inner.drain.acceptors.wait().await;
    }
}
