//! `/pools`: each pool with its configuration, health and metrics, and its change.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use wharf_http::HttpConnection;
use wharf_pool::config::{Difference, Value as Setting};
use wharf_pool::{Connection, Metrics, Pool, PoolName};
use wharf_upstream::Upstream;

use super::fault::{Answer, Fault};
use super::{Desk, own, requests, upstreams};
use crate::config::{Config, Problem, Problems, Written, change_of};

/// `GET /pools`.
pub(super) async fn list(State(desk): State<Arc<Desk>>) -> Answer {
    let inbound = desk.registry().all();
    let inbound = inbound.iter().map(|pool| shown(pool, &desk));
    let upstreams = desk.upstreams.all();
    let outbound = upstreams.values().map(upstreams::shown);
    let pools: Vec<_> = inbound.chain(outbound).collect();
    Answer(json!({ "pools": pools, "requests": requests::shown(&desk.admission) }))
}

/// `GET /pools/{listener}/{protocol}`.
pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<(String, String)>,
) -> Result<Answer, Fault> {
    Ok(Answer(match find(&desk, &name)? {
        Found::Inbound(pool) => shown(&pool, &desk),
        Found::Outbound(upstream) => upstreams::shown(&upstream),
    }))
}

/// `PATCH` of the same: the whole change or none of it.
pub(super) async fn change(
    State(desk): State<Arc<Desk>>,
    Path(name): Path<(String, String)>,
    body: Bytes,
) -> Result<Answer, Fault> {
    let found = find(&desk, &name)?;
    let written: Written = serde_json::from_slice(&body).map_err(|error| {
        let fault = Fault::new(StatusCode::BAD_REQUEST, "the body is not usable JSON");
        fault.error(
            "",
            &error.to_string(),
            "write an object such as {\"max_connections\": 100}",
        )
    })?;
    let (name, changed) = match found {
        Found::Inbound(pool) => {
            let change = change_of(&written, &pool.config())?;
            let note = |next: &mut Config| next.note_pool(pool.name(), &pool.config());
            (
                pool.name().clone(),
                desk.live.patch(&pool, &change, note).await,
            )
        }
        Found::Outbound(upstream) => {
            let pool = upstream.pool();
            let change = change_of(&written, &pool.config())?;
            let note = |next: &mut Config| next.note_upstream_pool(pool.name(), &pool.config());
            (
                pool.name().clone(),
                desk.live.patch(pool, &change, note).await,
            )
        }
    };
    let differences = changed.map_err(|errors| {
        let of = |error| Problem::of_setting(0, String::new(), error);
        Problems::from(errors.iter().map(of).collect::<Vec<_>>())
    })?;
    let diff: Vec<_> = differences.iter().map(difference).collect();
    Ok(Answer(json!({ "pool": name.as_str(), "diff": diff })))
}

/// A pool, whichever way its connections go.
enum Found {
    Inbound(Pool<HttpConnection>),
    Outbound(Upstream),
}

fn find(desk: &Desk, (listener, protocol): &(String, String)) -> Result<Found, Fault> {
    let name = format!("{listener}/{protocol}").parse::<PoolName>().ok();
    let found = name.and_then(|name| {
        let inbound = desk.registry().get(&name).map(Found::Inbound);
        inbound.or_else(|| {
            let upstreams = desk.upstreams.all();
            let upstream = upstreams.get(name.listener())?;
            let named = *upstream.pool().name() == name;
            named.then(|| Found::Outbound(upstream.clone()))
        })
    });
    found.ok_or_else(|| Fault::new(StatusCode::NOT_FOUND, "there is no such pool; see /pools"))
}

/// One setting that changed.
pub(super) fn difference(difference: &Difference) -> Value {
    json!({
        "key": difference.key.name,
        "old": written(&difference.old),
        "new": written(&difference.new),
        "effect": difference.key.applies.as_str(),
        "open_connections": difference.key.applies.for_open_connections(),
    })
}

fn shown(pool: &Pool<HttpConnection>, desk: &Desk) -> Value {
    let mut shown = described(pool, "inbound");
    own::add(&mut shown, pool, desk);
    Value::Object(shown)
}

/// What every pool has to say.
pub(super) fn described<C: Connection>(
    pool: &Pool<C>,
    direction: &'static str,
) -> Map<String, Value> {
    let health = pool.health();
    let settings = pool.config().values();
    let config: Map<_, _> = settings
        .iter()
        .map(|(key, value)| (key.name.to_owned(), written(value)))
        .collect();
    let health = json!({
        "status": health.status.as_str(),
        "utilization_ratio": health.utilization_ratio,
        "active_connections": health.active_connections,
        "max_connections": health.max_connections,
        "rejected_connections": health.rejected_connections,
        "average_response_time_ms": millis(health.average_response_time),
        "error_rate": health.error_rate,
        "message": health.message,
    });
    let mut shown = Map::new();
    let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
    put("name", json!(pool.name().as_str()));
    put("direction", json!(direction));
    put("listener", json!(pool.name().listener().as_str()));
    put("protocol", json!(pool.name().protocol()));
    put("config", Value::Object(config));
    put("health", health);
    put("metrics", metrics(&pool.metrics()));
    shown
}

fn metrics(metrics: &Metrics) -> Value {
    let performance = &metrics.performance;
    let closed: Map<_, _> = metrics
        .closed_by_reason
        .iter()
        .map(|(reason, n)| (reason.as_str().to_owned(), json!(n)))
        .collect();
    let rejected: Map<_, _> = metrics
        .rejected_by_reason
        .iter()
        .map(|(reason, n)| (reason.as_str().to_owned(), json!(n)))
        .collect();
    let rehearsed: Map<_, _> = metrics
        .dry_run_by_reason
        .iter()
        .map(|(reason, n)| (reason.as_str().to_owned(), json!(n)))
        .collect();
    let outcomes: Map<_, _> = metrics
        .requests_by_outcome
        .iter()
        .map(|(outcome, n)| (outcome.as_str().to_owned(), json!(n)))
        .collect();
    json!({
        "accepted": metrics.accepted,
        "closed_by_reason": closed,
        "rejected_by_reason": rejected,
        "dry_run_by_reason": rehearsed,
        "requests": metrics.requests,
        "requests_by_outcome": outcomes,
        "in_flight": metrics.in_flight,
        "bytes_received": metrics.bytes_received,
        "bytes_sent": metrics.bytes_sent,
        "connections_per_second": metrics.connections_per_second,
        "performance": {
            "throughput": performance.throughput,
            "latency": {
                "p50_ms": millis(performance.p50),
                "p95_ms": millis(performance.p95),
                "p99_ms": millis(performance.p99),
            },
            "memory_usage_bytes": performance.memory_usage,
            "cpu_usage_percent": performance.cpu_usage_percent,
        },
        "uptime_ms": millis(metrics.uptime),
    })
}

/// A setting as the file has it.
pub(super) fn written(value: &Setting) -> Value {
    match value {
        Setting::Bool(b) => json!(b),
        Setting::Integer(n) => json!(n),
        Setting::Text(text) => json!(text),
        Setting::List(items) => items.iter().map(written).collect(),
        Setting::Off => json!("off"),
        // Settings do not write anything else.
        Setting::Other(_) | _ => json!(value.to_string()),
    }
}

/// Milliseconds to the microsecond.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
