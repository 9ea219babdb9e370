//! What `/pools`, `/health` and `/ready` say of upstreams: their pools, with the endpoints behind each.

use serde_json::{Value, json};
use wharf_upstream::{DiscoveryReport, EndpointReport, Upstream};

use super::pools::{described, millis};

/// The pool of an upstream.
pub(super) fn shown(upstream: &Upstream) -> Value {
    let mut shown = described(upstream.pool(), "outbound");
    let endpoints = upstream.endpoints();
    let endpoints = endpoints.iter().map(endpoint);
    shown.insert("endpoints".to_owned(), endpoints.collect());
    if let Some(report) = upstream.discovery() {
        shown.insert("discovery".to_owned(), discovery(&report));
    }
    Value::Object(shown)
}

/// How the source of endpoints stands.
pub(super) fn discovery(report: &DiscoveryReport) -> Value {
    json!({
        "source": report.source,
        "state": report.state.as_str(),
        "endpoints": report.endpoints,
        "skipped": report.skipped,
        "revision": report.revision,
        "ttl_ms": report.ttl.map(millis),
        "changed_ms_ago": report.changed.map(millis),
        "heard_ms_ago": report.heard.map(millis),
        "error": report.error.as_deref(),
        "changes": report.changes,
        "failures": report.failures,
    })
}

fn endpoint(report: &EndpointReport) -> Value {
    json!({
        "address": report.address.to_string(),
        "state": report.state.as_str(),
        "weight": report.weight,
        "active_connections": report.active,
        "idle_connections": report.idle,
        "connecting": report.connecting,
        "waiting": report.waiting,
        "in_flight": report.in_flight,
        "average_response_time_ms": millis(report.latency),
        "failures": report.failures,
    })
}
