//! [`Presence`]: an open socket, as its endpoint counts it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wharf_pool::ConnectionHandle;

use super::Endpoint;
use crate::connection::UpstreamConnection;

/// An open socket. Whoever owns the bytes owns it; its drop is the one event, and lets the next connection be made.
pub(crate) struct Presence {
    endpoint: Arc<Endpoint>,
    handle: ConnectionHandle<UpstreamConnection>,
    /// Tells those who wait for it, where somebody else owns the bytes.
    gone: CancellationToken,
}

impl Presence {
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        handle: &ConnectionHandle<UpstreamConnection>,
    ) -> Self {
        endpoint.ledger().opened(handle.connection());
        Self {
            endpoint,
            handle: handle.clone(),
            gone: handle.connection().gone.clone(),
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // Before the ledger hears of it: who enters a connection there looks here, under its lock.
        self.gone.cancel();
        let left = self.endpoint.ledger().closed(&self.handle);
        // One that never came into use is its attempt's to tell, or a failure would begin the next attempt.
        if left.is_some() {
            drop(left);
            self.endpoint.settle();
        }
    }
}
