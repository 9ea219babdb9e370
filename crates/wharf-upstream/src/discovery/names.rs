//! [`look_up_names`]: the addresses that the endpoints' names stand for, each an endpoint of its own.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;
use wharf_control::jittered;

use super::MOST;
use crate::address::EndpointAddress;
use crate::connect::{LinkLocal, resolve};
use crate::setup::EndpointSetup;
use crate::upstream::{Inner, Upstream};

/// How much of the interval chance adds or takes.
const JITTER: f64 = 0.1;

/// Looks names up again and again, until the upstream is closed or nobody has it any more.
pub(crate) async fn look_up_names(upstream: Weak<Inner>, link_local: LinkLocal) {
    for nth in 0.. {
        let Some(found) = upstream.upgrade().map(|inner| Upstream { inner }) else {
            return;
        };
        let (heard, settings) = (Arc::clone(&found.inner.names), found.settings());
        let Some(every) = settings.resolve_every else {
            drop(found);
            heard.notified().await;
            continue;
        };
        let base = found.base(&settings.endpoints);
        let known: Vec<_> = found
            .fleet()
            .endpoints
            .iter()
            .map(|it| it.address.clone())
            .collect();
        // Not kept over the look-up: the last owner may go meanwhile.
        drop(found);
        let endpoints = look_up(&base, &known, link_local).await;
        let Some(found) = upstream.upgrade().map(|inner| Upstream { inner }) else {
            return;
        };
        found.looked_up(&base, &endpoints);
        drop(found);
        wait(every, nth, &heard).await;
    }
}

/// Until it is time for the next look-up, or there is something else to look up, or at another interval.
async fn wait(every: Duration, nth: u64, heard: &tokio::sync::Notify) {
    tokio::select! {
        () = sleep(jittered(every, JITTER, nth)) => {}
        () = heard.notified() => {}
    }
}

/// The endpoints as their names have them now. Where a name cannot be looked up, what was known of it stays: an
/// outage of the resolver is none of the endpoints.
async fn look_up(
    base: &[EndpointSetup],
    known: &[EndpointAddress],
    link_local: LinkLocal,
) -> Vec<EndpointSetup> {
    let mut found: Vec<EndpointSetup> = Vec::new();
    let mut taken = HashSet::new();
    for endpoint in base {
        let addresses = resolve(&endpoint.address, link_local).await;
        let addresses = addresses.inspect_err(|error| {
            tracing::warn!(endpoint = %endpoint.address, %error, "name not found");
        });
        let mut addresses: Vec<_> = if let Ok(found) = addresses {
            let found = found.into_iter();
            let mut found: Vec<_> = found.map(|it| endpoint.address.found_at(it)).collect();
            // Servers of names give them in another order each time, which is no news.
            found.sort();
            found
        } else {
            let before = known.iter().filter(|it| it.is_of(&endpoint.address));
            before.cloned().collect()
        };
        if addresses.is_empty() {
            // Never found so far: whoever connects looks it up then.
            addresses.push(endpoint.address.clone());
        }
        for address in addresses {
            let weight = endpoint.weight;
            if found.len() < MOST && taken.insert(address.clone()) {
                found.push(EndpointSetup { address, weight });
            }
        }
    }
    found
}
