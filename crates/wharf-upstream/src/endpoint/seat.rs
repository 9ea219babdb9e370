//! [`Seat`]: a place among the sessions with an endpoint.

use std::sync::Arc;

use super::Endpoint;

/// A place among the sessions with an endpoint, from the request for one to its end; given back when it is dropped.
pub(crate) struct Seat(Arc<Endpoint>);

impl Seat {
    /// One of those of `endpoint`; nothing if all are taken.
    pub(crate) fn take(endpoint: &Arc<Endpoint>) -> Option<Self> {
        let settings = endpoint.context.config();
        let taken = endpoint.ledger().take_seat(&settings);
        taken.then(|| Self(Arc::clone(endpoint)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.ledger().leave_seat();
    }
}
