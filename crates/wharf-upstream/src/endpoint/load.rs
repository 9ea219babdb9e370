//! [`Load`]: a request that was given to an endpoint.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{Answer, Endpoint, Seat};

/// A request that was given to an endpoint, until the last byte of its answer.
pub(crate) struct Load {
    endpoint: Arc<Endpoint>,
    asks: Asks,
    /// Of one that asks for a session.
    seat: Option<Seat>,
}

/// What a request is for, beside its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Nothing.
    Nothing,
    /// Whether the endpoint is back. However it ends, the endpoint hears of it, or no other would be tried.
    Probe,
}

impl Load {
    pub(crate) fn on(endpoint: &Arc<Endpoint>, asks: Asks) -> Self {
        endpoint.load.fetch_add(1, Ordering::Relaxed);
        Self {
            endpoint: Arc::clone(endpoint),
            asks,
            seat: None,
        }
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// It asks for a session; false if there are as many as may be.
    pub(crate) fn sit(&mut self) -> bool {
        self.seat = Seat::take(&self.endpoint);
        self.seat.is_some()
    }

    /// Notes what has come of the request by now.
    pub(crate) fn note(&mut self, answer: Answer, now: Instant) {
        self.asks = Asks::Nothing;
        self.endpoint.note(answer, now);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.endpoint.load.fetch_sub(1, Ordering::Relaxed);
        if self.asks == Asks::Probe {
            self.endpoint.call_off();
        }
    }
}
