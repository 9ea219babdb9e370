//! What a pool has done: counters that workers write without meeting, and what is read from them.
//!
//! Totals only grow, for exporters. Everything that is said about "now" (rates, percentiles, the
//! error rate) is taken from a sliding minute and never mixes with them.

mod histogram;
mod recent;
mod stripes;

pub use histogram::LatencyBuckets;
pub(crate) use recent::{Reading, Recent, Summary};
pub(crate) use stripes::Stripes;
pub use stripes::thread_number;

use std::time::Duration;

use crate::{CloseReason, DryRunReason, RejectReason};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It was answered with a status of the 1xx class (an upgrade).
    Informational,
    /// It was answered with a 2xx status.
    Success,
    /// It was answered with a 3xx status.
    Redirection,
    /// It was answered with a 4xx status.
    ClientError,
    /// It was answered with a 5xx status, or the answer broke off by our fault.
    ServerError,
    /// It was not answered: the peer went away, or the connection ended first.
    Cancelled,
    /// It was turned away, since there was more to do than could be done. That is no error of what serves.
    Shed,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Informational,
        Self::Success,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
        Self::Cancelled,
        Self::Shed,
    ];

    /// The value of the label `status_class`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Cancelled => "cancelled",
            Self::Shed => "shed",
        }
    }

    /// The outcome of an answer with this status code.
    pub const fn of_status(status: u16) -> Self {
        match status {
            100..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

/// What a pool has done, and what it has been doing in the last minute.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Connections that entered the pool, by accept or by move, since start.
    pub accepted: u64,
    /// Connections that went on to another pool, since start. Those that entered and neither ended
    /// nor went on are open.
    pub moved: u64,
    /// Connections that ended in the pool, since start; every reason is there.
    pub closed_by_reason: Vec<(CloseReason, u64)>,
    /// Newcomers turned away, since start; every reason is there.
    pub rejected_by_reason: Vec<(RejectReason, u64)>,
    /// What limits on a dry run would have done since start; every reason is there.
    pub dry_run_by_reason: Vec<(DryRunReason, u64)>,
    /// Requests begun, since start.
    pub requests: u64,
    /// Requests ended, by outcome, since start.
    pub requests_by_outcome: Vec<(Outcome, u64)>,
    /// Requests in flight now.
    pub in_flight: u64,
    /// Bytes received, since start.
    pub bytes_received: u64,
    /// Bytes sent, since start.
    pub bytes_sent: u64,
    /// The lives of all connections that ended, added up.
    pub connection_lifetime: Duration,
    /// Connections that entered a second, over the last minute.
    pub connections_per_second: f64,
    /// What the pool's work costs and takes.
    pub performance: Performance,
    /// Since the pool was made.
    pub uptime: Duration,
    /// The distribution of request durations since start.
    pub request_duration: LatencyBuckets,
}

/// What the work of a pool costs and takes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Performance {
    /// Requests ended a second, over the last minute.
    pub throughput: f64,
    /// The mean duration of the requests that ended in the last minute.
    pub average: Duration,
    /// The median of the same.
    pub p50: Duration,
    /// The 95th percentile.
    pub p95: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The part of the requests of the last minute that ended in a server error; zero without any.
    pub error_rate: f64,
    /// Bytes that the pool's connections hold: accounted, so much for each connection of its kind,
    /// and not measured. What the process really uses is the process's own figure.
    pub memory_usage: u64,
    /// Processor time that serving the pool's connections took in the last minute, in percent of
    /// one core, as far as their driver accounts it.
    pub cpu_usage_percent: f64,
}
