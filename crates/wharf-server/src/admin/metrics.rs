//! `GET /metrics`: the pools in the text format of `OpenMetrics`, which Prometheus reads.

mod discovery;
mod page;
mod pressure;
mod requests;
mod upstreams;

use std::fmt::{self, Error};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry as Exported;
use wharf_http::grpc::Code;
use wharf_http::{Counts, ListenerTally};
use wharf_pool::{HealthStatus, Listener};

use super::Desk;
use page::{Door, Page, PoolReading};
use upstreams::UpstreamReading;

/// The text, made anew for each scrape: the libraries keep the numbers, nothing is kept here.
pub(super) async fn metrics(State(desk): State<Arc<Desk>>) -> Response {
    match text(desk) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The text itself.
pub(super) fn text(desk: Arc<Desk>) -> Result<String, Error> {
    let mut exported = Exported::default();
    exported.register_collector(Box::new(Reading(desk)));
    let mut text = String::new();
    encode(&mut text, &exported).map(|()| text)
}

/// Reads every pool when it is scraped.
struct Reading(Arc<Desk>);

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

impl Collector for Reading {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = |pool: &wharf_pool::Pool<_>| PoolReading {
            name: pool.name().clone(),
            health: pool.health(),
            metrics: pool.metrics(),
        };
        let pools: Vec<_> = self.0.registry().all().iter().map(read).collect();
        let listeners = self.0.registry().listeners();
        let door = |it: &Listener<_>| Door {
            name: it.name().clone(),
            closed: it.closed_by_reason(),
            rehearsed: it.dry_run_by_reason(),
        };
        let doors = listeners.iter().map(door).collect();
        let mut page = Page {
            encoder,
            pools,
            doors,
        };
        page.connections()?;
        page.requests()?;
        page.bytes()?;
        page.health()?;
        let kept = self.0.registry().occupancy().kept;
        let help = "Places of the process that stay free for pools below their guarantee";
        page.single("wharf_connections_kept", help, f64::from(kept))?;
        page.listeners(&self.0)?;
        page.calls(&self.0)?;
        page.admission(&self.0.admission)?;
        page.pressure(self.0.pressure.seen())?;
        let upstreams = self.0.upstreams.all();
        let upstreams: Vec<_> = upstreams.values().map(UpstreamReading::of).collect();
        page.upstreams(&upstreams)?;
        page.discovery(&upstreams)?;
        page.process(&self.0)
    }
}

impl Page<'_> {
    fn connections(&mut self) -> fmt::Result {
        self.gauge("wharf_connections_active", "Open connections", |pool| {
            Some(f64::from(pool.health.active_connections))
        })?;
        self.counter(
            "wharf_connections_accepted",
            "Connections that entered the pool",
            |pool| pool.metrics.accepted,
        )?;
        let help = "Newcomers turned away, by reason";
        self.counters("wharf_connections_rejected", help, "reason", |pool| {
            pool.metrics
                .rejected_by_reason
                .iter()
                .map(|(r, n)| (r.as_str(), *n))
                .collect()
        })?;
        self.closed()?;
        self.rehearsed()?;
        let help = "Lives of the connections that ended; only sum and count are kept";
        self.histogram("wharf_connection_duration_seconds", help, |pool| {
            let ended = pool.metrics.closed_by_reason.iter().map(|(_, n)| n).sum();
            (
                pool.metrics.connection_lifetime,
                vec![(f64::INFINITY, ended)],
            )
        })
    }

    /// Those that ended before it was known what they speak have the protocol `detecting`.
    fn closed(&mut self) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(
            "wharf_connections_closed",
            "Connections that ended, by reason",
            None,
            MetricType::Counter,
        )?;
        for pool in &self.pools {
            for (reason, n) in &pool.metrics.closed_by_reason {
                let labels = pool.labels_and("reason", reason.as_str());
                page::count(&mut family, &labels, *n)?;
            }
        }
        for door in &self.doors {
            for (reason, n) in &door.closed {
                page::count(&mut family, &door.labels(reason.as_str()), *n)?;
            }
        }
        Ok(())
    }

    /// Of limits that were never on a dry run there is nothing.
    fn rehearsed(&mut self) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(
            "wharf_dry_run",
            "What limits on a dry run would have done: newcomers turned away, connections ended",
            None,
            MetricType::Counter,
        )?;
        for pool in &self.pools {
            for (reason, n) in pool
                .metrics
                .dry_run_by_reason
                .iter()
                .filter(|(_, n)| *n > 0)
            {
                let labels = pool.labels_and("reason", reason.as_str());
                page::count(&mut family, &labels, *n)?;
            }
        }
        for door in &self.doors {
            for (reason, n) in door.rehearsed.iter().filter(|(_, n)| *n > 0) {
                page::count(&mut family, &door.labels(reason.as_str()), *n)?;
            }
        }
        Ok(())
    }

    fn requests(&mut self) -> fmt::Result {
        let help = "Requests that ended, by class of their status";
        self.counters("wharf_requests", help, "status_class", |pool| {
            pool.metrics
                .requests_by_outcome
                .iter()
                .map(|(o, n)| (o.as_str(), *n))
                .collect()
        })?;
        self.gauge(
            "wharf_requests_in_flight",
            "Requests begun and not ended",
            |pool| Some(number(pool.metrics.in_flight)),
        )?;
        let help = "From a request's head to the last byte of its answer";
        self.histogram("wharf_request_duration_seconds", help, |pool| {
            let all = &pool.metrics.request_duration;
            let mut below = 0;
            let mut buckets: Vec<_> = all
                .buckets
                .iter()
                .map(|(bound, n)| (bound.as_secs_f64(), n - std::mem::replace(&mut below, *n)))
                .collect();
            buckets.push((f64::INFINITY, all.count - below));
            (all.sum, buckets)
        })
    }

    fn bytes(&mut self) -> fmt::Result {
        self.counter("wharf_bytes_received", "Bytes received", |p| {
            p.metrics.bytes_received
        })?;
        self.counter("wharf_bytes_sent", "Bytes sent", |p| p.metrics.bytes_sent)
    }

    fn health(&mut self) -> fmt::Result {
        let help = "The smallest limit that applies to the pool; without any, not there";
        self.gauge("wharf_pool_limit", help, |pool| {
            pool.health.max_connections.map(f64::from)
        })?;
        let help = "How much of the tightest limit is used";
        self.gauge("wharf_pool_utilization_ratio", help, |p| {
            Some(p.health.utilization_ratio)
        })?;
        let help = "0 healthy, 1 degraded, 2 overloaded, 3 unavailable";
        self.gauge("wharf_pool_status", help, |pool| {
            Some(match pool.health.status {
                HealthStatus::Healthy => 0.0,
                HealthStatus::Degraded => 1.0,
                HealthStatus::Overloaded => 2.0,
                HealthStatus::Unavailable => 3.0,
            })
        })
    }

    fn listeners(&mut self, desk: &Desk) -> fmt::Result {
        let mut detecting = self.encoder.encode_descriptor(
            "wharf_connections_detecting",
            "Connections of which it is not known yet what they speak",
            None,
            MetricType::Gauge,
        )?;
        for listener in desk.registry().listeners() {
            let labels = [("listener", listener.name().as_str())];
            let detected = i64::from(listener.occupancy().detecting);
            ConstGauge::new(detected).encode(detecting.encode_family(&labels)?)?;
        }
        let mut shaking = self.encoder.encode_descriptor(
            "wharf_tls_handshakes_active",
            "TLS handshakes under way",
            None,
            MetricType::Gauge,
        )?;
        let names: Vec<_> = self.doors.iter().map(|door| door.name.clone()).collect();
        let tallies: Vec<_> = names.iter().map(|it| desk.running.tally(it)).collect();
        for (name, tally) in names.iter().zip(&tallies) {
            let active = i64::try_from(tally.handshakes_active).unwrap_or(i64::MAX);
            let labels = [("listener", name.as_str())];
            ConstGauge::new(active).encode(shaking.encode_family(&labels)?)?;
        }
        let mut family = |name, help, label, of: fn(&ListenerTally) -> &Counts| {
            let kind = MetricType::Counter;
            let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
            for (name, tally) in names.iter().zip(&tallies) {
                for (word, n) in of(tally) {
                    let labels = [("listener", name.as_str()), (label, *word)];
                    page::count(&mut family, &labels, *n)?;
                }
            }
            Ok(())
        };
        family(
            "wharf_tls_handshakes",
            "TLS handshakes that ended: full, resumed, or why they came to nothing",
            "result",
            |tally| &tally.handshakes,
        )?;
        family(
            "wharf_http2_abuse",
            "Connections ended for what their peers did with frames of HTTP/2",
            "kind",
            |tally| &tally.http2_abuse,
        )
    }

    fn calls(&mut self, desk: &Desk) -> fmt::Result {
        let methods = desk.running.grpc_calls().figures();
        let mut ended = self.encoder.encode_descriptor(
            "wharf_grpc_calls",
            "gRPC calls that ended, by method and status",
            None,
            MetricType::Counter,
        )?;
        for method in &methods {
            for (code, n) in Code::ALL.iter().zip(method.ended).filter(|(_, n)| *n > 0) {
                let labels = [("method", &*method.method), ("code", code.as_str())];
                page::count(&mut ended, &labels, n)?;
            }
        }
        let mut durations = self.encoder.encode_descriptor(
            "wharf_grpc_call_duration_seconds",
            "From the head of a call to the last byte of its answer",
            None,
            MetricType::Histogram,
        )?;
        for method in methods.iter().filter(|method| method.count > 0) {
            let mut below = 0;
            let mut buckets: Vec<_> = method
                .buckets
                .iter()
                .map(|(bound, n)| (bound.as_secs_f64(), n - std::mem::replace(&mut below, *n)))
                .collect();
            buckets.push((f64::INFINITY, method.count - below));
            let (sum, count) = (method.sum.as_secs_f64(), method.count);
            durations
                .encode_family(&[("method", &*method.method)])?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    fn process(&mut self, desk: &Desk) -> fmt::Result {
        let events = desk.registry().events().dropped() + desk.events.missed();
        self.total(
            "wharf_events_dropped",
            "Events that a subscriber was too slow for",
            events,
        )?;
        let reloads = desk.live.record().totals();
        self.results(
            "wharf_config_reloads",
            "Reloads of the configuration, by what came of them",
            &[
                ("applied", reloads.applied),
                ("unchanged", reloads.unchanged),
                ("rejected", reloads.rejected),
            ],
        )?;
        let lines = desk.logs.dropped().iter().map(|(_, lines)| lines).sum();
        self.total(
            "wharf_log_lines_dropped",
            "Log lines that their stream did not take",
            lines,
        )?;
        let telemetry = desk.live.telemetry();
        let (spans, deliveries) = (telemetry.spans(), telemetry.deliveries());
        if !spans.is_empty() {
            let help = "Spans, by what became of them on the way to the collector";
            self.results("wharf_otel_spans", help, &spans)?;
            let help = "Messages to the collector, by what came of them";
            self.results("wharf_otel_messages", help, &deliveries)?;
        }
        let figures = desk.figures.now();
        if let Some(bytes) = figures.resident_bytes {
            self.single(
                "process_resident_memory_bytes",
                "Resident memory",
                number(bytes),
            )?;
        }
        if let Some(open) = figures.open_descriptors {
            self.single("process_open_fds", "Open descriptors", number(open))?;
        }
        if let Some(seconds) = figures.cpu_seconds {
            let help = "Processor time";
            let kind = MetricType::Counter;
            let encoder =
                self.encoder
                    .encode_descriptor("process_cpu_seconds", help, None, kind)?;
            ConstCounter::new(seconds).encode(encoder)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "exporters have floats only")]
fn number(n: u64) -> f64 {
    n as f64
}
