//! What a pool's protocol has to say beyond what every pool says: TLS, streams, sessions, calls.

use serde_json::{Map, Value, json};
use wharf_http::grpc::{Code, MethodFigures};
use wharf_http::{Counts, HttpConnection, ListenerTally};
use wharf_pool::Pool;

use super::Desk;
use super::pools::millis;

/// Adds to `shown` what is the pool's protocol's own.
pub(super) fn add(shown: &mut Map<String, Value>, pool: &Pool<HttpConnection>, desk: &Desk) {
    let tally = desk.running.tally(pool.name().listener());
    if !tally.handshakes.is_empty() || tally.handshakes_active > 0 {
        shown.insert("tls".to_owned(), tls(&tally));
    }
    let protocol = pool.name().protocol();
    if protocol == "http2" || protocol == "grpc" {
        let metrics = pool.metrics();
        let streams = json!({ "open": metrics.in_flight, "opened": metrics.requests });
        shown.insert("streams".to_owned(), streams);
        shown.insert("http2_abuse".to_owned(), counts(&tally.http2_abuse));
    }
    if protocol == "websocket" {
        // Each is a connection of the pool, or shares one of `http2`.
        let occupancy = pool.occupancy();
        let sessions = json!(occupancy.active + occupancy.berths);
        shown.insert("sessions".to_owned(), sessions);
    }
    if protocol == "grpc" {
        let figures = desk.running.grpc_calls().figures();
        let calls = figures.iter().filter(|it| was_called(it)).map(method);
        shown.insert("calls".to_owned(), calls.collect());
    }
}

/// Of the listener, whichever protocol it led to.
fn tls(tally: &ListenerTally) -> Value {
    json!({
        "handshakes_active": tally.handshakes_active,
        "handshakes": counts(&tally.handshakes),
        "versions": counts(&tally.tls_versions),
        "ciphers": counts(&tally.ciphers),
    })
}

fn counts(counts: &Counts) -> Value {
    let counts = counts
        .iter()
        .map(|(word, n)| ((*word).to_owned(), json!(n)));
    Value::Object(counts.collect())
}

fn was_called(figures: &MethodFigures) -> bool {
    figures.in_flight > 0 || figures.ended.iter().any(|n| *n > 0)
}

/// Of the process: a method is the same on every listener.
fn method(figures: &MethodFigures) -> Value {
    let ended = Code::ALL.iter().zip(figures.ended).filter(|(_, n)| *n > 0);
    let ended = ended.map(|(code, n)| (code.as_str().to_owned(), json!(n)));
    json!({
        "method": figures.method,
        "in_flight": figures.in_flight,
        "ended": Value::Object(ended.collect()),
        "messages_received": figures.messages_received,
        "messages_sent": figures.messages_sent,
        "mean_ms": u32::try_from(figures.count)
            .ok()
            .filter(|count| *count > 0)
            .map(|count| millis(figures.sum / count)),
    })
}
