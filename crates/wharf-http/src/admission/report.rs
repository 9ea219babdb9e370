//! [`AdmissionReport`]: how a limit of requests stands.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wharf_control::overload::Class;

use super::refusal::Why;
use super::settings::AdmissionMode;

/// How a limit of requests stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdmissionReport {
    /// Whether it holds.
    pub mode: AdmissionMode,
    /// How many may be worked on at a time.
    pub limit: u32,
    /// How many are.
    pub in_flight: u32,
    /// How many wait for a place.
    pub waiting: u32,
    /// How many were refused since start, of each class for each reason.
    pub refused: Vec<(Class, Why, u64)>,
    /// How many would not have had a place at once, while it was on a dry run.
    pub dry_run: Vec<(Class, u64)>,
    /// How long a task that was ready waited for a worker at least, in the last window.
    pub lag: Duration,
    /// What the last window was taken for.
    pub verdict: &'static str,
}

/// What a limit has done since start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    refused: [[AtomicU64; Why::ALL.len()]; Class::ALL.len()],
    rehearsed: [AtomicU64; Class::ALL.len()],
}

impl Tally {
    pub(super) fn refused(&self, class: Class, why: Why) {
        self.refused[class as usize][why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rehearsed(&self, class: Class) {
        self.rehearsed[class as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refusals(&self) -> Vec<(Class, Why, u64)> {
        let of = |class: Class| {
            let counts = &self.refused[class as usize];
            let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
            Why::ALL
                .into_iter()
                .zip(counts)
                .map(move |(why, count)| (class, why, count))
        };
        Class::ALL.into_iter().flat_map(of).collect()
    }

    pub(super) fn rehearsals(&self) -> Vec<(Class, u64)> {
        let counts = self.rehearsed.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        Class::ALL.into_iter().zip(counts).collect()
    }
}
