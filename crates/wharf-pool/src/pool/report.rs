//! What a pool has done, for whoever asks.

use std::time::Duration;

use super::Pool;
use crate::connection::Connection;
use crate::metrics::{LatencyBuckets, Metrics, Outcome, Performance, Summary};

impl<C: Connection> Pool<C> {
    /// What the pool has done, and what it has been doing in the last minute.
    pub fn metrics(&self) -> Metrics {
        let (reading, summary) = self.inner.read();
        let (flow, totals) = (&reading.flow, &reading.totals);
        let sum = Duration::from_nanos(totals.duration_nanos);
        let dry_run_by_reason = self.shared().books().rehearsed(self.inner.scope);
        Metrics {
            accepted: flow.accepted,
            moved: flow.moved,
            closed_by_reason: flow.closed_by_reason(),
            rejected_by_reason: self.inner.rejections().by_reason(),
            dry_run_by_reason,
            requests: totals.requests,
            requests_by_outcome: Outcome::ALL.into_iter().zip(totals.outcomes).collect(),
            in_flight: totals.in_flight(),
            bytes_received: totals.bytes_received,
            bytes_sent: totals.bytes_sent,
            connection_lifetime: flow.lifetime,
            connections_per_second: summary.per_second(summary.accepted),
            performance: self.performance(&summary),
            uptime: reading.at.since(self.inner.made),
            request_duration: LatencyBuckets::new(&reading.durations, sum),
        }
    }

    fn performance(&self, summary: &Summary) -> Performance {
        let [p50, p95, p99] = summary.percentiles;
        Performance {
            throughput: summary.per_second(summary.requests),
            average: summary.average,
            p50,
            p95,
            p99,
            error_rate: summary.error_rate(),
            memory_usage: u64::from(self.active()) * C::memory(&self.config().protocol),
            cpu_usage_percent: 100.0 * summary.busy.as_secs_f64() / summary.seconds,
        }
    }
}
