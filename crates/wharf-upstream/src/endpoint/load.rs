//! [`Load`]: a request that was given to an endpoint.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use wharf_pool::Outcome;

use super::{Answer, Endpoint, Seat};

/// A request that was given to an endpoint, until the last byte of its answer.
pub(crate) struct Load {
    endpoint: Arc<Endpoint>,
    asks: Asks,
    /// Of one that asks for a session.
    seat: Option<Seat>,
    /// When it was given to a codec, for whoever wants to know.
    given: Option<Arc<OnceLock<Instant>>>,
    /// How it is counted when it ends; not at all unless a codec has had it.
    outcome: Option<Outcome>,
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
            given: None,
            outcome: None,
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

    /// When it will have been given to a codec: before that it waits in a line of ours.
    pub(crate) fn watch(&mut self) -> Arc<OnceLock<Instant>> {
        Arc::clone(self.given.get_or_insert_default())
    }

    /// It is given to a codec now.
    pub(crate) fn is_given(&mut self, now: Instant) {
        // Until something else is known: whoever waits may go at any time.
        self.outcome = Some(Outcome::Cancelled);
        if let Some(given) = &self.given {
            given.get_or_init(|| now);
        }
    }

    /// It ends so, if it is counted.
    pub(crate) const fn ends(&mut self, outcome: Outcome) {
        if let Some(counted) = &mut self.outcome {
            *counted = outcome;
        }
    }

    /// There is no answer to count: what it failed of is counted instead.
    pub(crate) const fn is_unanswered(&mut self) {
        self.outcome = None;
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
        if let Some(outcome) = self.outcome {
            self.endpoint.tally.ended(outcome);
        }
        if self.asks == Asks::Probe {
            self.endpoint.call_off();
        }
    }
}
