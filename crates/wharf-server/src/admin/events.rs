//! `GET /events`: what happens, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use serde_json::{Map, Value, json};
use wharf_pool::PoolName;
use wharf_pool::events::{Event, EventKind};

use super::Desk;
use super::pools::difference;

/// A comment is sent so often, so that a peer that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The stream, from now on.
pub(super) async fn stream(
    State(desk): State<Arc<Desk>>,
) -> Sse<impl Stream<Item = Result<Sent, Infallible>>> {
    let events = unfold(desk.registry().events().subscribe(), async |mut events| {
        let event = events.next().await?;
        let sent = Sent::default()
            .event(event.kind.as_str())
            .data(shown(&event).to_string());
        Some((Ok(sent), events))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// The event as JSON.
fn shown(event: &Event) -> Value {
    let mut shown = Map::new();
    shown.insert("event".to_owned(), json!(event.kind.as_str()));
    shown.insert("at_ms".to_owned(), json!(event.at.as_nanos() / 1_000_000));
    shown.insert(
        "pool".to_owned(),
        json!(event.pool.as_ref().map(PoolName::as_str)),
    );
    if let Value::Object(own) = own(&event.kind) {
        shown.extend(own);
    }
    Value::Object(shown)
}

fn own(kind: &EventKind) -> Value {
    match kind {
        EventKind::ConnectionAdded { id, peer, .. } => {
            json!({ "connection": id.to_string(), "peer": peer.to_string() })
        }
        EventKind::ConnectionRemoved {
            id,
            peer,
            reason,
            age,
            requests,
            ..
        } => json!({
            "connection": id.to_string(),
            "peer": peer.to_string(),
            "reason": reason.as_str(),
            "age_ms": super::pools::millis(*age),
            "requests": requests,
        }),
        EventKind::ConnectionTimeout {
            id, peer, reason, ..
        }
        | EventKind::ConnectionError {
            id, peer, reason, ..
        } => json!({
            "connection": id.to_string(),
            "peer": peer.to_string(),
            "reason": reason.as_str(),
        }),
        EventKind::ConnectionMoved { id, peer, to, .. } => json!({
            "connection": id.to_string(),
            "peer": peer.to_string(),
            "to": to.as_str(),
        }),
        EventKind::PoolLimitReached {
            reason, rejected, ..
        } => {
            json!({ "reason": reason.as_str(), "rejected": rejected })
        }
        EventKind::HealthStatusChanged {
            from, to, cause, ..
        } => {
            json!({ "from": from.as_str(), "to": to.as_str(), "cause": cause })
        }
        EventKind::ConfigChanged { differences, .. } => {
            json!({ "diff": differences.iter().map(difference).collect::<Vec<_>>() })
        }
        EventKind::Drain { phase, .. } => json!({ "phase": phase }),
        // A kind that is newer than this code still has its name, time and pool.
        _ => Value::Null,
    }
}
