//! `/config`: what is in force, how it came to be, and the way to read the file again.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use serde_json::{Map, Value, json};
use wharf_pool::config::{Applies, Key, Settings, Value as Setting};

use super::Desk;
use super::fault::{Answer, Fault};
use super::pools::written;
use crate::config::{
    AdminConfig, Changed, Config, Forward, ListenerConfig, Refused, Route, Target, UpstreamConfig,
};
use crate::live::{Change, Rejection, Source, Told};

/// `GET /config`: what is in force, in the form of the file.
pub(super) async fn show(State(desk): State<Arc<Desk>>) -> Answer {
    let record = desk.live.record();
    let deviations = record.deviations();
    let totals = record.totals();
    Answer(json!({
        "file": desk.live.file(),
        "config": whole(&record.in_force()),
        "not_as_in_file": deviations.iter().map(deviation).collect::<Vec<_>>(),
        "last_change": record.history().next().map(change),
        "last_rejected": record.last_rejected().map(|rejected| json!({
            "at": rejected.at,
            "source": rejected.source.as_str(),
            "problems": rejected.problems,
        })),
        "reloads": {
            "applied": totals.applied,
            "unchanged": totals.unchanged,
            "rejected": totals.rejected,
        },
    }))
}

/// `GET /config/history`: the last changes, the newest first.
pub(super) async fn history(State(desk): State<Arc<Desk>>) -> Answer {
    let changes: Vec<_> = desk.live.record().history().map(change).collect();
    Answer(json!({ "changes": changes }))
}

/// `POST /reload`: reads the file again; what it says is in force, or nothing has changed.
pub(super) async fn reload(State(desk): State<Arc<Desk>>) -> Result<Answer, Fault> {
    match desk.live.reload(Source::ApiReload).await {
        Ok(changes) => Ok(Answer(json!({
            "file": desk.live.file(),
            "diff": changes.iter().map(told).collect::<Vec<_>>(),
        }))),
        Err(Rejection::NoFile) => {
            let detail = "this process was started without a configuration file";
            Err(Fault::new(StatusCode::CONFLICT, detail))
        }
        Err(Rejection::Refused(refused)) => Err(fault(&refused)),
    }
}

/// Everything that is wrong with a file.
fn fault(refused: &Refused) -> Fault {
    let fault = Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing was changed");
    let problems = refused.problems.list.iter().zip(refused.places());
    problems.fold(fault, |fault, (problem, (line, column))| {
        fault.detailed(json!({
            "key": problem.key,
            "reason": problem.reason,
            "remedy": problem.remedy,
            "file": refused.file(),
            "line": line,
            "column": column,
        }))
    })
}

fn change(change: &Change) -> Value {
    json!({
        "id": change.id.to_string(),
        "at": change.at,
        "source": change.source.as_str(),
        "diff": change.changes.iter().map(told).collect::<Vec<_>>(),
        "truncated": change.untold > 0,
    })
}

fn told(told: &Told) -> Value {
    let changed = &told.changed;
    json!({
        "key": changed.path,
        "old": changed.old.as_ref().map(written),
        "new": changed.new.as_ref().map(written),
        "effect": changed.effect.as_str(),
        "open_connections": changed.for_open_connections(),
        "undoes_patch": told.undoes_patch,
    })
}

/// A setting that is not in force as the file has it.
fn deviation(changed: &Changed) -> Value {
    let until = if changed.effect == Applies::Restart {
        "restart"
    } else {
        "reload"
    };
    json!({
        "key": changed.path,
        "file": changed.old.as_ref().map(written),
        "in_force": changed.new.as_ref().map(written),
        "until": until,
    })
}

fn whole(config: &Config) -> Value {
    json!({
        "server": table(&config.server.values()),
        "admin": admin(&config.admin),
        "log": table(&config.log.values()),
        "limits": limits(config),
        "listener": config.listeners.iter().map(listener).collect::<Vec<_>>(),
        "route": config.routes.iter().map(route).collect::<Vec<_>>(),
        "upstream": config.upstreams.iter().map(upstream).collect::<Vec<_>>(),
    })
}

fn limits(config: &Config) -> Map<String, Value> {
    let mut shown = table(&config.limits.values());
    let requests = table(&config.requests.values());
    shown.insert("requests".to_owned(), requests.into());
    shown
}

fn admin(admin: &AdminConfig) -> Map<String, Value> {
    let mut shown = table(&admin.settings.values());
    if let Some(tls) = &admin.tls {
        shown.insert("tls".to_owned(), json!(tls.shown()));
    }
    shown
}

fn table(values: &[(Key, Setting)]) -> Map<String, Value> {
    let shown = |(key, value): &(Key, Setting)| (key.name.to_owned(), written(value));
    values.iter().map(shown).collect()
}

fn listener(listener: &ListenerConfig) -> Value {
    let protocols: Vec<_> = listener.pools.iter().map(|(p, _)| p.as_str()).collect();
    let pools: Map<_, _> = listener
        .pools
        .iter()
        .map(|(protocol, pool)| (protocol.as_str().to_owned(), table(&pool.values()).into()))
        .collect();
    let mut shown = Map::new();
    shown.insert("name".to_owned(), json!(listener.name.as_str()));
    shown.insert("address".to_owned(), json!(listener.address.to_string()));
    shown.insert("protocols".to_owned(), json!(protocols));
    shown.extend(table(&listener.limits.values()));
    shown.extend(table(&listener.tcp.values()));
    if let Some(tls) = &listener.tls {
        shown.insert("tls".to_owned(), json!(tls.shown()));
    }
    if let Some(trusted) = &listener.proxies {
        let trusted: Vec<_> = trusted.iter().map(ToString::to_string).collect();
        shown.insert("proxy_protocol".to_owned(), json!({ "trusted": trusted }));
    }
    shown.insert("pools".to_owned(), Value::Object(pools));
    Value::Object(shown)
}

fn route(route: &Route) -> Value {
    let mut shown = Map::new();
    if let Some(listener) = &route.listener {
        shown.insert("listener".to_owned(), json!(listener.as_str()));
    }
    if let Some(host) = &route.host {
        shown.insert("host".to_owned(), json!(host));
    }
    shown.insert("path".to_owned(), json!(route.path));
    let (key, target) = match &route.target {
        Target::Demo => ("app", json!("demo")),
        Target::Respond { status, body } => {
            let status = status.as_u16();
            ("respond", json!({ "status": status, "body": body }))
        }
        Target::Redirect { port } => ("redirect", json!(format!("https:{port}"))),
        Target::Upstream(forward) => {
            shown.extend(forwarded(forward));
            ("upstream", json!(forward.upstream.as_str()))
        }
    };
    shown.insert(key.to_owned(), target);
    Value::Object(shown)
}

fn forwarded(forward: &Forward) -> Map<String, Value> {
    let mut shown = table(&forward.settings.values());
    for (key, fields) in [
        ("request_headers", &forward.request_fields),
        ("response_headers", &forward.response_fields),
    ] {
        let set: Map<_, _> = fields
            .set
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    json!(String::from_utf8_lossy(value.as_bytes())),
                )
            })
            .collect();
        let removed: Vec<_> = fields.remove.iter().map(HeaderName::as_str).collect();
        if !fields.is_empty() {
            shown.insert(key.to_owned(), json!({ "set": set, "remove": removed }));
        }
    }
    shown
}

fn upstream(upstream: &UpstreamConfig) -> Value {
    let mut shown = Map::new();
    shown.insert("name".to_owned(), json!(upstream.name.as_str()));
    shown.insert("endpoints".to_owned(), written(&upstream.endpoint_values()));
    shown.extend(table(&upstream.choice.values()));
    if let Some(tls) = &upstream.tls {
        shown.insert("tls".to_owned(), json!(tls.shown()));
    }
    for group in upstream.groups() {
        let mut section = table(&group.values);
        if let Some(tls) = group.tls {
            section.insert("tls".to_owned(), json!(tls.shown()));
        }
        match group.name.split_once('.') {
            // Its parent was there before it.
            Some((parent, name)) => shown[parent][name] = section.into(),
            None => drop(shown.insert(group.name.to_owned(), section.into())),
        }
    }
    Value::Object(shown)
}
