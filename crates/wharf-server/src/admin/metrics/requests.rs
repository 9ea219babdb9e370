//! The limit of requests.

use std::fmt;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use wharf_http::admission::{Admission, AdmissionMode};

use super::page::{self, Page};

impl Page<'_> {
    /// What the limit of requests has come to; without one there is none of it.
    pub(super) fn admission(&mut self, admission: &Admission) -> fmt::Result {
        let report = admission.report();
        let on = report.mode != AdmissionMode::Off;
        let gauges = [
            (
                "wharf_admission_limit",
                "How many requests may be worked on at a time",
                f64::from(report.limit),
            ),
            (
                "wharf_admission_in_flight",
                "How many requests are worked on",
                f64::from(report.in_flight),
            ),
            (
                "wharf_admission_waiting",
                "How many requests wait for a place",
                f64::from(report.waiting),
            ),
            (
                "wharf_admission_lag_seconds",
                "How long a task that is ready waits for a worker",
                report.lag.as_secs_f64(),
            ),
        ];
        for (name, help, value) in gauges {
            let kind = MetricType::Gauge;
            let encoder = self.family(name, help, kind)?;
            if on {
                ConstGauge::new(value).encode(encoder)?;
            }
        }
        let kind = MetricType::Counter;
        let help = "Requests turned away, by how important they were and why";
        let name = "wharf_requests_shed";
        let mut family = self.family(name, help, kind)?;
        for (class, why, count) in report.refused {
            if !on && count == 0 {
                continue;
            }
            let labels = [("class", class.as_str()), ("reason", why.as_str())];
            page::count(&mut family, &labels, count)?;
        }
        let help = "Requests that a limit on a dry run would not have let in at once";
        let name = "wharf_requests_shed_dry_run";
        let mut family = self.family(name, help, kind)?;
        for (class, count) in report.dry_run {
            if !on && count == 0 {
                continue;
            }
            page::count(&mut family, &[("class", class.as_str())], count)?;
        }
        Ok(())
    }
}
