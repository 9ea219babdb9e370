//! The step from one configuration to the next: listeners first, which can fail; then the rest,
//! which cannot.

use std::error::Error;

use wharf_http::StartError;
use wharf_pool::PoolName;

use super::served::{Served, drain_settings};
use super::{Kit, Live, State};
use crate::config::{Config, ListenerConfig, Problem, overcommitted};
use crate::gateway::{Directory, Unstarted};

/// Puts `next` in force in place of `now`, or changes nothing.
///
/// # Errors
///
/// What of it cannot be had.
pub(super) async fn switch(
    live: &Live,
    state: &mut State,
    now: &Config,
    next: &Config,
) -> Result<(), Problem> {
    let limit = next.limits.scope(&state.kit.room).max_connections;
    if let Some(problem) = overcommitted(limit, &next.listeners) {
        return Err(problem);
    }
    let upstreams = state.kit.upstreams.prepare(&now.upstreams, &next.upstreams);
    let upstreams = upstreams.map_err(|refused| unstarted(&refused))?;
    let mut change = live.running.change();
    let mut opened = Vec::new();
    let same_frames = now.http2() == next.http2();
    for listener in &next.listeners {
        let before = now.listener(&listener.name);
        if before.is_some_and(|before| same_frames && before.stays_as(listener)) {
            continue;
        }
        let parts = match (state.kit.served.get(&listener.name), before) {
            (Some(parts), Some(before)) if before.tls.is_some() == listener.tls.is_some() => {
                parts.clone()
            }
            _ => Served::new(next, listener, upstreams.directory()),
        };
        let app = parts.app(&state.kit.services, &state.kit.admission);
        change = change.listener(parts.setup(next, listener), app);
        opened.push((listener.name.clone(), parts));
    }
    let is_next = |before: &&ListenerConfig| next.listener(&before.name).is_some();
    for gone in now.listeners.iter().filter(|before| !is_next(before)) {
        change = change.remove(gone.name.clone());
    }
    change
        .apply()
        .await
        .map_err(|error| problem(next, &error))?;
    state.kit.served.extend(opened);
    state
        .kit
        .served
        .retain(|name, _| next.listener(name).is_some());
    adjust(live, &state.kit, now, (next, upstreams.directory()));
    // Last: from here on no route leads to those that leave.
    upstreams.commit(next.server.drain_timeout);
    Ok(())
}

/// Everything that cannot fail.
fn adjust(live: &Live, kit: &Kit, now: &Config, (next, upstreams): (&Config, &Directory)) {
    let registry = live.running.registry();
    registry.update_limits(next.limits.scope(&kit.room));
    let handshakes = live.running.tls_handshakes();
    handshakes.set_limit(next.limits.max_tls_handshakes.into());
    // The limit begins anew with other settings, but not because somebody else is important.
    let admission = next.requests.admission();
    if admission != now.requests.admission() {
        kit.admission.set(admission);
    }
    for listener in &next.listeners {
        if let Some(there) = registry.listener(&listener.name) {
            there.update_limits(listener.limits.scope());
        }
        for (protocol, config) in &listener.pools {
            let name = PoolName::new(&listener.name, protocol.as_str());
            let pool = name.ok().and_then(|name| registry.get(&name));
            // It was checked when the file was read.
            pool.map(|pool| pool.set_config(config.clone()));
        }
        if let Some(served) = kit.served.get(&listener.name) {
            served.set((next, upstreams), listener, now.listener(&listener.name));
        }
    }
    live.running.set_drain(drain_settings(&next.server));
    live.logs.set(&next.log);
    live.telemetry.set(&next.otel);
}

/// What is wrong with an upstream that cannot be started, at its key.
fn unstarted(refused: &Unstarted) -> Problem {
    Problem {
        at: 0,
        key: format!("upstream[{}]", refused.index),
        reason: chain(&refused.source),
        remedy: "change what it names".to_owned(),
    }
}

fn chain(error: &dyn Error) -> String {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        chain = format!("{chain}: {error}");
        cause = error.source();
    }
    chain
}

/// What is wrong with a configuration that cannot be put in force, at its key.
fn problem(config: &Config, error: &StartError) -> Problem {
    let reason = chain(error);
    let (key, remedy) = if let StartError::Listen { listener, .. } = error {
        let at = config.listeners.iter().position(|it| it.name == *listener);
        let at = at.map_or_else(String::new, |at| at.to_string());
        (
            format!("listener[{at}].address"),
            "free the address, or write another one",
        )
    } else {
        (String::new(), "start the process again with this file")
    };
    Problem {
        at: 0,
        key,
        reason,
        remedy: remedy.to_owned(),
    }
}
