//! `wharf_upstream_*`: upstreams and their endpoints.

use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use wharf_upstream::{DiscoveryReport, EndpointReport, EndpointState, Upstream};

use super::page::{Page, count};

/// One upstream as it stands.
pub(super) struct UpstreamReading {
    pub(super) name: String,
    /// By their addresses.
    endpoints: Vec<(String, EndpointReport)>,
    /// By reason.
    refusals: Vec<(&'static str, u64)>,
    /// How the source stands that finds them, if one does.
    pub(super) discovery: Option<DiscoveryReport>,
}

impl UpstreamReading {
    /// What is to be said of it.
    pub(super) fn of(upstream: &Upstream) -> Self {
        let endpoints = upstream.endpoints().into_iter();
        Self {
            name: upstream.name().to_string(),
            endpoints: endpoints.map(|it| (it.address.to_string(), it)).collect(),
            refusals: upstream.refusals(),
            discovery: upstream.discovery(),
        }
    }
}

/// One figure of an endpoint: its name, what it is, and where it is had.
type Figure<N> = (&'static str, &'static str, fn(&EndpointReport) -> N);

/// Writes one value of an endpoint, with its label if there is one.
type Write<'a> = dyn FnMut(&[(&'static str, &str)], &EndpointReport) -> fmt::Result + 'a;

impl Page<'_> {
    pub(super) fn upstreams(&mut self, upstreams: &[UpstreamReading]) -> fmt::Result {
        self.upstream_connections(upstreams)?;
        self.upstream_requests(upstreams)?;
        self.upstream_answers(upstreams)?;
        self.upstream_counts(upstreams)
    }

    fn upstream_connections(&mut self, upstreams: &[UpstreamReading]) -> fmt::Result {
        let help = "Connections to endpoints, by what they do";
        let mut family = self.family("wharf_upstream_connections", help, MetricType::Gauge)?;
        each(upstreams, &mut |labels, it| {
            let of = [
                ("active", it.active.saturating_sub(it.idle + it.sessions)),
                ("session", it.sessions),
                ("idle", it.idle),
                ("connecting", it.connecting),
            ];
            let mut of = of.into_iter();
            of.try_for_each(|(state, n)| {
                gauge(&mut family, &with(labels, "state", state), f64::from(n))
            })
        })?;
        let help = "1 for the state that an endpoint is in";
        let mut family = self.family("wharf_upstream_endpoint_state", help, MetricType::Gauge)?;
        each(upstreams, &mut |labels, it| {
            EndpointState::ALL.into_iter().try_for_each(|state| {
                let is = f64::from(u8::from(it.state == state));
                gauge(&mut family, &with(labels, "state", state.as_str()), is)
            })
        })
    }

    fn upstream_requests(&mut self, upstreams: &[UpstreamReading]) -> fmt::Result {
        let help = "Requests that endpoints were given, by class of the answer's status";
        let mut family = self.family("wharf_upstream_requests", help, MetricType::Counter)?;
        each(upstreams, &mut |labels, it| {
            let mut outcomes = it.metrics.requests_by_outcome.iter();
            outcomes.try_for_each(|(outcome, n)| {
                count(
                    &mut family,
                    &with(labels, "status_class", outcome.as_str()),
                    *n,
                )
            })
        })?;
        let help = "Requests that were not answered, by reason";
        let mut family = self.family("wharf_upstream_failures", help, MetricType::Counter)?;
        each(upstreams, &mut |labels, it| {
            let mut kinds = it.metrics.failures_by_kind.iter();
            kinds.try_for_each(|(kind, n)| count(&mut family, &with(labels, "reason", kind), *n))
        })?;
        let help = "Requests that were refused here and sent to nobody, by reason";
        let mut family = self.family("wharf_upstream_refusals", help, MetricType::Counter)?;
        upstreams.iter().try_for_each(|upstream| {
            let mut reasons = upstream.refusals.iter();
            reasons.try_for_each(|(reason, n)| {
                let labels = [("upstream", upstream.name.as_str()), ("reason", reason)];
                count(&mut family, &labels, *n)
            })
        })
    }

    fn upstream_answers(&mut self, upstreams: &[UpstreamReading]) -> fmt::Result {
        let help = "From a request to the head of its answer; only sum and count are kept";
        let name = "wharf_upstream_response_seconds";
        let mut family = self.family(name, help, MetricType::Histogram)?;
        each(upstreams, &mut |labels, it| {
            let (sum, answers) = (it.metrics.latency.as_secs_f64(), it.metrics.answers);
            let all = [(f64::INFINITY, answers)];
            let family = &mut family.encode_family(&labels)?;
            family.encode_histogram::<NoLabelSet>(sum, answers, &all, None)
        })?;
        let help = "How long an endpoint takes to answer at present";
        let mut family = self.family("wharf_upstream_latency_seconds", help, MetricType::Gauge)?;
        each(upstreams, &mut |labels, it| {
            gauge(&mut family, labels, it.latency.as_secs_f64())
        })
    }

    fn upstream_counts(&mut self, upstreams: &[UpstreamReading]) -> fmt::Result {
        let gauges: [Figure<u32>; 2] = [
            (
                "wharf_upstream_requests_in_flight",
                "Requests begun and not ended",
                |it| it.in_flight,
            ),
            (
                "wharf_upstream_waiting",
                "Requests that wait for a connection",
                |it| it.waiting,
            ),
        ];
        for (name, help, value) in gauges {
            let mut family = self.family(name, help, MetricType::Gauge)?;
            each(upstreams, &mut |labels, it| {
                gauge(&mut family, labels, f64::from(value(it)))
            })?;
        }
        let counters: [Figure<u64>; 4] = [
            (
                "wharf_upstream_ejections",
                "How often an endpoint was left alone",
                |it| it.metrics.ejections,
            ),
            (
                "wharf_upstream_retries",
                "Requests sent again, by who got them",
                |it| it.metrics.retries,
            ),
            (
                "wharf_upstream_hedges",
                "Requests sent to a second endpoint while the first was long in answering, by who got them",
                |it| it.metrics.hedges,
            ),
            (
                "wharf_upstream_hedges_won",
                "Those of them that were answered first",
                |it| it.metrics.hedges_won,
            ),
        ];
        for (name, help, value) in counters {
            let mut family = self.family(name, help, MetricType::Counter)?;
            each(upstreams, &mut |labels, it| {
                count(&mut family, &labels, value(it))
            })?;
        }
        Ok(())
    }
}

fn each(upstreams: &[UpstreamReading], write: &mut Write<'_>) -> fmt::Result {
    for upstream in upstreams {
        for (address, report) in &upstream.endpoints {
            write(
                &[("upstream", &upstream.name), ("endpoint", address)],
                report,
            )?;
        }
    }
    Ok(())
}

fn with<'a>(
    labels: &[(&'static str, &'a str)],
    key: &'static str,
    value: &'a str,
) -> Vec<(&'static str, &'a str)> {
    [labels, &[(key, value)]].concat()
}

fn gauge(
    family: &mut MetricEncoder<'_>,
    labels: &[(&'static str, &str)],
    value: f64,
) -> fmt::Result {
    ConstGauge::new(value).encode(family.encode_family(&labels)?)
}
