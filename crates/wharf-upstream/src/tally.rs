//! [`Tally`]: what an endpoint has done since start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wharf_pool::Outcome;

use crate::error::SendError;

/// What an endpoint has done since start, counted by all workers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    failures: Kinds,
    latency: AtomicU64,
    answers: AtomicU64,
    ejections: AtomicU64,
    retries: AtomicU64,
    hedges: AtomicU64,
    hedges_won: AtomicU64,
}

/// Requests that were not answered, by [`SendError::kind`].
#[derive(Debug, Default)]
pub(crate) struct Kinds([AtomicU64; SendError::KINDS.len()]);

impl Kinds {
    fn count(&self, error: &SendError) {
        let place = SendError::KINDS.iter().position(|it| *it == error.kind());
        if let Some(place) = place {
            add(&self.0[place], 1);
        }
    }

    /// Counts it if it is a refusal of ours.
    pub(crate) fn count_refusal(&self, error: &SendError) {
        if SendError::REFUSALS.contains(&error.kind()) {
            self.count(error);
        }
    }

    /// Every kind.
    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|it| it.load(Ordering::Relaxed));
        SendError::KINDS.into_iter().zip(counts).collect()
    }
}

/// The figures of one endpoint since start. They only grow.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EndpointMetrics {
    /// Requests ended, by outcome; every outcome is there.
    pub requests_by_outcome: Vec<(Outcome, u64)>,
    /// Requests that were not answered, by [`SendError::kind`]; every kind is there.
    pub failures_by_kind: Vec<(&'static str, u64)>,
    /// The times from request to head, added up …
    pub latency: Duration,
    /// … over so many answers.
    pub answers: u64,
    /// How often it was left alone.
    pub ejections: u64,
    /// Requests that it was given since another attempt had failed.
    pub retries: u64,
    /// Requests that it was given since another endpoint was long in answering …
    pub hedges: u64,
    /// … and so many of them that it answered first.
    pub hedges_won: u64,
}

impl Tally {
    pub(crate) fn ended(&self, outcome: Outcome) {
        add(&self.outcomes[outcome as usize], 1);
    }

    pub(crate) fn failed(&self, error: &SendError) {
        self.failures.count(error);
    }

    pub(crate) fn answered(&self, took: Duration) {
        add(
            &self.latency,
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
        );
        add(&self.answers, 1);
    }

    pub(crate) fn ejected(&self) {
        add(&self.ejections, 1);
    }

    pub(crate) fn retried(&self) {
        add(&self.retries, 1);
    }

    pub(crate) fn hedged(&self) {
        add(&self.hedges, 1);
    }

    pub(crate) fn won(&self) {
        add(&self.hedges_won, 1);
    }

    pub(crate) fn read(&self) -> EndpointMetrics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EndpointMetrics {
            requests_by_outcome: Outcome::ALL
                .into_iter()
                .zip(self.outcomes.each_ref().map(of))
                .collect(),
            failures_by_kind: self.failures.read(),
            latency: Duration::from_nanos(of(&self.latency)),
            answers: of(&self.answers),
            ejections: of(&self.ejections),
            retries: of(&self.retries),
            hedges: of(&self.hedges),
            hedges_won: of(&self.hedges_won),
        }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
