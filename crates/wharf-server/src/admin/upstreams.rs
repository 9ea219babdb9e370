//! What `/pools`, `/health` and `/ready` say of upstreams: their pools, with the endpoints behind each.

use serde_json::{Value, json};
use wharf_upstream::{EndpointReport, Upstream};

use super::pools::{described, millis};

/// The pool of an upstream.
pub(super) fn shown(upstream: &Upstream) -> Value {
    let mut shown = described(upstream.pool(), "outbound");
    let endpoints = upstream.endpoints();
    let endpoints = endpoints.iter().map(endpoint);
    shown.insert("endpoints".to_owned(), endpoints.collect());
    Value::Object(shown)
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
