//! [`Load`]: a request that was given to an endpoint.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Answer, Endpoint};

/// A request that was given to an endpoint, until the last byte of its answer.
pub(crate) struct Load {
    endpoint: Arc<Endpoint>,
    asks: Asks,
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
        }
    }

    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Notes what came of the request.
    pub(crate) fn note(&mut self, answer: Answer) {
        self.asks = Asks::Nothing;
        self.endpoint.note(answer);
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
