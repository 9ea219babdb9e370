//! [`Running`]: the handle of a server that serves.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::DropGuard;
use wharf_pool::events::Events;
use wharf_pool::{ListenerName, Registry, ServingState};

use crate::connection::HttpConnection;
use crate::drain::{Drain, DrainReport};
use crate::grpc::Calls;
use crate::listener::Lobby;
use crate::tls::Handshakes;

/// A server that serves. Cheap to clone; the last clone that is dropped ends it without a drain.
#[derive(Clone, Debug)]
pub struct Running {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    drain: Drain,
    listening: Vec<(ListenerName, SocketAddr, Lobby)>,
    handshakes: Handshakes,
    calls: Calls,
    #[expect(dead_code, reason = "held for its drop")]
    ticking: DropGuard,
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
        listening: Vec<(ListenerName, SocketAddr, Lobby)>,
        (handshakes, calls): (Handshakes, Calls),
        ticking: DropGuard,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                drain,
                listening,
                handshakes,
                calls,
                ticking,
            }),
        }
    }

    /// Where each listener listens.
    pub fn addresses(&self) -> Vec<(ListenerName, SocketAddr)> {
        let listening = self.inner.listening.iter();
        listening
            .map(|(name, address, _)| (name.clone(), *address))
            .collect()
    }

    /// Newcomers of a listener that are accepted and neither let in nor gone: they wait for a slot,
    /// or are being refused.
    pub fn refusing(&self, listener: &ListenerName) -> usize {
        let listening = self.inner.listening.iter();
        listening
            .filter(|(name, ..)| name == listener)
            .map(|(.., lobby)| lobby.occupied())
            .sum()
    }

    /// The TLS handshakes that are under way, and how many may be.
    pub fn tls_handshakes(&self) -> &Handshakes {
        &self.inner.handshakes
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
