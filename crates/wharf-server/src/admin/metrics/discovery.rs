//! `wharf_upstream_discovery_*`: the sources that find endpoints.

use std::fmt;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use wharf_upstream::{DiscoveryReport, DiscoveryState};

use super::page::{Page, count};
use super::upstreams::UpstreamReading;

/// One figure of a source: its name, what it is, and where it is had.
type Figure<N> = (&'static str, &'static str, fn(&DiscoveryReport) -> N);

/// Writes one value of a source, with its labels.
type Write<'a> = dyn FnMut(&[(&'static str, &str)], &DiscoveryReport) -> fmt::Result + 'a;

impl Page<'_> {
    pub(super) fn discovery(&mut self, upstreams: &[UpstreamReading]) -> fmt::Result {
        let help = "1 for how the source of endpoints stands";
        let name = "wharf_upstream_discovery_state";
        let mut family = self.family(name, help, MetricType::Gauge)?;
        each(upstreams, &mut |labels, it| {
            DiscoveryState::ALL.into_iter().try_for_each(|state| {
                let is = u32::from(it.state == state);
                let labels = [labels, &[("state", state.as_str())]].concat();
                ConstGauge::new(is).encode(family.encode_family(&labels)?)
            })
        })?;
        let gauges: [Figure<usize>; 2] = [
            (
                "wharf_upstream_discovery_endpoints",
                "Endpoints that were found and are asked",
                |it| it.endpoints,
            ),
            (
                "wharf_upstream_discovery_skipped",
                "Entries of the source that name no endpoint, or are too many",
                |it| it.skipped,
            ),
        ];
        for (name, help, value) in gauges {
            let mut family = self.family(name, help, MetricType::Gauge)?;
            each(upstreams, &mut |labels, it| {
                let value = u32::try_from(value(it)).unwrap_or(u32::MAX);
                ConstGauge::new(value).encode(family.encode_family(&labels)?)
            })?;
        }
        let counters: [Figure<u64>; 2] = [
            (
                "wharf_upstream_discovery_changes",
                "How often the endpoints that were found changed",
                |it| it.changes,
            ),
            (
                "wharf_upstream_discovery_failures",
                "How often the source could not be asked, or told what cannot be followed",
                |it| it.failures,
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
        if let Some(report) = &upstream.discovery {
            let labels = [("upstream", &*upstream.name), ("source", report.source)];
            write(&labels, report)?;
        }
    }
    Ok(())
}
