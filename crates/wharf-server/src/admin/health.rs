//! `/live`, `/ready`, `/health`: whether the process runs, whether it takes work, how it is.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use wharf_http::HttpConnection;
use wharf_pool::{Health, HealthStatus, ListenerName, PoolName, Registry, ServingState};

use super::fault::Answer;
use super::pools::millis;
use super::upstreams::discovery;
use super::{Desk, requests};

/// `GET /live`: this thread answers, so the process lives.
pub(super) async fn live() -> Answer {
    Answer(json!({ "live": true }))
}

/// `GET /ready`: 503 while starting or draining, or with no pool that serves.
pub(super) async fn ready(State(desk): State<Arc<Desk>>) -> impl IntoResponse {
    let state = desk.registry().state();
    let status = overall(desk.registry());
    let serving = state == ServingState::Serving && status.best != HealthStatus::Unavailable;
    let warm = desk.upstreams.are_warm();
    let state = if warm { state } else { ServingState::Starting };
    let ready = serving && warm;
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        code,
        Answer(json!({ "ready": ready, "state": state.as_str() })),
    )
}

/// `GET /health`: the process in figures.
pub(super) async fn health(State(desk): State<Arc<Desk>>) -> Answer {
    let registry = &desk.registry();
    let process = registry.occupancy();
    let figures = desk.figures.now();
    Answer(json!({
        "status": overall(registry).worst.max(worst_upstream(&desk)).as_str(),
        "state": registry.state().as_str(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_ms": millis(desk.started.elapsed()),
        "active_connections": process.active,
        "reserved_connections": process.reserved,
        "kept_connections": process.kept,
        "max_connections": process.limit,
        "sources": registry.sources(),
        "process": {
            "resident_bytes": figures.resident_bytes,
            "cpu_seconds": figures.cpu_seconds,
            "threads": figures.threads,
            "open_descriptors": figures.open_descriptors,
            "max_descriptors": desk.descriptors,
        },
        "listeners": desk.running.addresses().iter().map(|(name, address)| {
            listener(&desk, name, *address)
        }).collect::<Vec<_>>(),
        "pools": pools(&desk),
        "requests": requests::shown(&desk.admission),
        "pressure": pressure(&desk),
        "config": config(&desk),
        "events_dropped": registry.events().dropped() + desk.events.missed(),
        "log_lines_dropped": desk.logs.dropped().iter().map(|(_, lines)| lines).sum::<u64>(),
    }))
}

fn pools(desk: &Desk) -> Vec<Value> {
    let brief = |name: &PoolName, health: Health| {
        json!({
            "name": name.as_str(),
            "status": health.status.as_str(),
            "message": health.message,
        })
    };
    let (inbound, upstreams) = (desk.registry().all(), desk.upstreams.all());
    let inbound = inbound.iter().map(|pool| brief(pool.name(), pool.health()));
    let outbound = upstreams.values().map(|upstream| {
        let pool = upstream.pool();
        let mut brief = brief(pool.name(), pool.health());
        if let Some(report) = upstream.discovery() {
            brief["discovery"] = discovery(&report);
        }
        brief
    });
    inbound.chain(outbound).collect()
}

/// An upstream that cannot be asked leaves wharf able to say so: it counts for how it is, and not for
/// whether it serves.
fn worst_upstream(desk: &Desk) -> HealthStatus {
    let upstreams = desk.upstreams.all();
    let statuses = upstreams.values().map(|it| it.pool().health().status);
    statuses.max().unwrap_or_default()
}

/// How short of memory the process is, and how far it goes for that.
fn pressure(desk: &Desk) -> Value {
    let seen = desk.pressure.seen();
    let reading = seen.reading;
    json!({
        "mode": desk.live.config().limits.pressure.as_str(),
        "rung": seen.rung.as_str(),
        "ratio": reading.map(|it| it.ratio()),
        "memory_used_bytes": reading.map(|it| it.used),
        "memory_limit_bytes": reading.map(|it| it.limit),
        "stalled_ratio": reading.map(|it| it.stalled),
    })
}

/// Whether what is in force is what the file says.
fn config(desk: &Desk) -> Value {
    let record = desk.live.record();
    let status = if record.last_rejected().is_some() {
        "rejected"
    } else {
        "ok"
    };
    json!({
        "file": desk.live.file(),
        "status": status,
        "changed_at": record.history().next().map(|change| change.at.clone()),
        "rejected_at": record.last_rejected().map(|rejected| rejected.at.clone()),
    })
}

fn listener(desk: &Desk, name: &ListenerName, address: SocketAddr) -> Value {
    let occupancy = desk
        .registry()
        .listener(name)
        .map(|listener| listener.occupancy());
    let occupancy = occupancy.unwrap_or_default();
    json!({
        "name": name.as_str(),
        "address": address.to_string(),
        "active_connections": occupancy.active,
        "reserved_connections": occupancy.reserved,
        "max_connections": occupancy.limit,
        "detecting": occupancy.detecting,
        "refusing": desk.running.refusing(name),
    })
}

/// The statuses of the best and the worst pool.
struct Overall {
    best: HealthStatus,
    worst: HealthStatus,
}

fn overall(registry: &Registry<HttpConnection>) -> Overall {
    let statuses: Vec<_> = registry
        .all()
        .iter()
        .map(|pool| pool.health().status)
        .collect();
    Overall {
        best: statuses.iter().copied().min().unwrap_or_default(),
        worst: statuses.iter().copied().max().unwrap_or_default(),
    }
}
