//! `GET /events`: what happens, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use serde_json::{Map, Value, json};
use wharf_pool::events::{Event, EventKind};
use wharf_pool::{PoolName, Rung};

use super::Desk;
use super::fault::Fault;
use super::pools::difference;
use crate::event_log::{Heard, Place};

/// A comment is sent so often, so that a peer that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client may wait before it comes again.
const RETRY: Duration = Duration::from_secs(1);

/// What a browser sends when it comes again.
const LAST_EVENT_ID: &str = "last-event-id";

/// `GET /events?since=&type=&pool=`: from now on, or after an event that is named.
pub(super) async fn stream(
    State(desk): State<Arc<Desk>>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Fault> {
    let wanted = Wanted::read(&query)?;
    // The header is newer: the address of a stream stays the same when its client comes again.
    let header = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let place = match header.or(wanted.since.as_deref()) {
        Some(id) => desk.events.after(id).ok_or_else(|| {
            refused(
                "since",
                "write the id of an event, or 0 for all that are kept",
            )
        })?,
        None => desk.events.at_end(),
    };
    let reader = Reader {
        desk,
        place,
        wanted,
        first: VecDeque::from([Sent::default().retry(RETRY).comment("events of wharf")]),
    };
    let events = unfold(reader, async |mut reader| {
        let sent = reader.next().await?;
        Some((Ok(sent), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One stream.
struct Reader {
    desk: Arc<Desk>,
    place: Place,
    wanted: Wanted,
    first: VecDeque<Sent>,
}

impl Reader {
    async fn next(&mut self) -> Option<Sent> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        let log = &self.desk.events;
        loop {
            let (number, name, mut shown) = match log.read(&mut self.place).await? {
                Heard::Event(_, event) if !self.wanted.admits(&event) => continue,
                Heard::Event(number, event) => (number, event.kind.as_str(), shown(&event)),
                Heard::Missed { number, events } => (number, "gap", gap(events)),
            };
            let id = log.id(number);
            shown.insert("id".to_owned(), json!(id));
            let data = Value::Object(shown).to_string();
            return Some(Sent::default().id(id).event(name).data(data));
        }
    }
}

/// What the query asks for.
#[derive(Debug, Default)]
struct Wanted {
    since: Option<String>,
    types: Vec<&'static str>,
    pools: Vec<PoolName>,
}

impl Wanted {
    fn read(query: &[(String, String)]) -> Result<Self, Fault> {
        let mut wanted = Self::default();
        for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            match key.as_str() {
                "since" => wanted.since = Some(value.clone()),
                "type" => {
                    let remedy = || format!("write one or more of {}", EventKind::NAMES.join(","));
                    let kind = |name| EventKind::NAMES.into_iter().find(|known| *known == name);
                    let kinds: Option<Vec<_>> = value.split(',').map(kind).collect();
                    wanted
                        .types
                        .extend(kinds.ok_or_else(|| refused(key, &remedy()))?);
                }
                "pool" => {
                    let pools: Result<Vec<PoolName>, _> =
                        value.split(',').map(str::parse).collect();
                    let remedy = "write listener/protocol, such as web/http";
                    wanted
                        .pools
                        .extend(pools.map_err(|_| refused(key, remedy))?);
                }
                _ => return Err(refused(key, "ask by since, type and pool")),
            }
        }
        Ok(wanted)
    }

    fn admits(&self, event: &Event) -> bool {
        let of_pool = |wanted: &PoolName| event.pool.as_ref() == Some(wanted);
        (self.types.is_empty() || self.types.contains(&event.kind.as_str()))
            && (self.pools.is_empty() || self.pools.iter().any(of_pool))
    }
}

fn refused(key: &str, remedy: &str) -> Fault {
    let fault = Fault::new(StatusCode::BAD_REQUEST, "the query cannot be answered");
    fault.error(key, "this is not understood", remedy)
}

/// Events that this stream has missed.
fn gap(events: Option<u64>) -> Map<String, Value> {
    let shown = [("event", json!("gap")), ("missed", json!(events))];
    shown
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

/// The event as JSON.
fn shown(event: &Event) -> Map<String, Value> {
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
    shown
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
        EventKind::WouldReject {
            reason,
            connections,
            ..
        }
        | EventKind::WouldClose {
            reason,
            connections,
            ..
        } => json!({ "reason": reason.as_str(), "connections": connections }),
        EventKind::HealthStatusChanged {
            from, to, cause, ..
        } => {
            json!({ "from": from.as_str(), "to": to.as_str(), "cause": cause })
        }
        EventKind::ConfigChanged { differences, .. } => {
            json!({ "diff": differences.iter().map(difference).collect::<Vec<_>>() })
        }
        EventKind::ConfigReloaded {
            result, changes, ..
        } => json!({ "result": result, "changes": changes }),
        EventKind::Drain { phase, .. } => json!({ "phase": phase }),
        EventKind::EndpointStateChanged {
            endpoint,
            state,
            cause,
            ..
        } => json!({ "endpoint": &**endpoint, "state": state, "cause": cause }),
        EventKind::DiscoveryChanged { .. } => of_discovery(kind),
        EventKind::PressureChanged { from, to, .. } => steps(*from, *to),
        // A kind that is newer than this code still has its name, time and pool.
        _ => Value::Null,
    }
}

fn steps(from: Rung, to: Rung) -> Value {
    json!({ "from": from.as_str(), "to": to.as_str() })
}

fn of_discovery(kind: &EventKind) -> Value {
    let EventKind::DiscoveryChanged {
        source,
        state,
        endpoints,
        ..
    } = kind
    else {
        return Value::Null;
    };
    json!({ "source": source, "state": state, "endpoints": endpoints })
}
