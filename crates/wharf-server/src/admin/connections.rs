//! `/connections`: who is connected, and the end of one of them.

mod order;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use wharf_http::tls::{Alpn, TlsInfo};
use wharf_pool::{Cidr, CloseReason, ConnId, ConnectionInfo, Phase, PoolName};

use super::Desk;
use super::fault::{Answer, Fault};
use super::pools::millis;
use order::Order;

/// How many are shown without `limit`, and how many at most.
const SHOWN: usize = 100;
const SHOWN_AT_MOST: usize = 10_000;

/// What the query asks for.
#[derive(Debug, Default)]
struct Wanted {
    pool: Option<PoolName>,
    state: Option<Phase>,
    peer: Option<Peer>,
    order: Option<Order>,
    limit: usize,
}

/// Peers are asked for by address and port, by address, or by range.
#[derive(Debug)]
enum Peer {
    Exact(std::net::SocketAddr),
    Range(Cidr),
}

const STATES: [Phase; 5] = [
    Phase::Detecting,
    Phase::Opening,
    Phase::Active,
    Phase::Idle,
    Phase::Closing,
];

/// `GET /connections?pool=&state=&peer=&sort=&limit=`.
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Answer, Fault> {
    let wanted = Wanted::read(&query)?;
    let all = desk.registry().connections();
    let mut matching: Vec<_> = all
        .iter()
        .map(|handle| (handle.info(), handle))
        .filter(|(info, _)| wanted.admits(info))
        .collect();
    let total = matching.len();
    match wanted.order {
        Some(order) => matching = order.first(matching, wanted.limit),
        None => matching.truncate(wanted.limit),
    }
    let shown: Vec<_> = matching
        .iter()
        .map(|(info, handle)| connection(info, handle.connection().tls()))
        .collect();
    Ok(Answer(json!({
        "connections": shown,
        "total": total,
        "truncated": total > wanted.limit,
    })))
}

/// `DELETE /connections/{id}`: asks it to finish, as its protocol has it.
pub(super) async fn close(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, Fault> {
    let found = id
        .parse::<ConnId>()
        .ok()
        .and_then(|id| desk.registry().connection(id));
    let Some(handle) = found else {
        return Err(Fault::new(
            StatusCode::NOT_FOUND,
            "there is no such connection",
        ));
    };
    handle.begin_close(CloseReason::Admin);
    Ok((
        StatusCode::ACCEPTED,
        Answer(json!({ "id": id, "state": "closing" })),
    ))
}

impl Wanted {
    fn read(query: &[(String, String)]) -> Result<Self, Fault> {
        let mut wanted = Self {
            limit: SHOWN,
            ..Self::default()
        };
        for (key, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            let (taken, remedy) = match key.as_str() {
                "pool" => {
                    wanted.pool = value.parse().ok();
                    (
                        wanted.pool.is_some(),
                        "write listener/protocol, such as web/http",
                    )
                }
                "state" => {
                    wanted.state = STATES.into_iter().find(|phase| phase.as_str() == value);
                    (
                        wanted.state.is_some(),
                        "write detecting, opening, active, idle or closing",
                    )
                }
                "peer" => {
                    wanted.peer = Peer::read(value);
                    (
                        wanted.peer.is_some(),
                        "write 10.0.0.1, 10.0.0.1:4711 or 10.0.0.0/8",
                    )
                }
                "sort" => {
                    wanted.order = Order::read(value);
                    (
                        wanted.order.is_some(),
                        "write a figure such as age_ms, or -age_ms for the largest first",
                    )
                }
                "limit" => {
                    let limit = value
                        .parse()
                        .ok()
                        .filter(|n| (1..=SHOWN_AT_MOST).contains(n));
                    wanted.limit = limit.unwrap_or(SHOWN);
                    (limit.is_some(), "write a number from 1 to 10000")
                }
                _ => (false, "ask by pool, state, peer, sort and limit"),
            };
            if !taken {
                let fault = Fault::new(StatusCode::BAD_REQUEST, "the query cannot be answered");
                return Err(fault.error(key, "this is not understood", remedy));
            }
        }
        Ok(wanted)
    }

    fn admits(&self, info: &ConnectionInfo) -> bool {
        let in_pool = |pool: &PoolName| {
            *pool.listener() == info.listener && info.protocol.as_deref() == Some(pool.protocol())
        };
        let from_peer = |peer: &Peer| match peer {
            Peer::Exact(address) => *address == info.peer.0,
            Peer::Range(range) => range.contains(info.peer.0.ip()),
        };
        self.pool.as_ref().is_none_or(in_pool)
            && self.state.is_none_or(|state| state == info.phase)
            && self.peer.as_ref().is_none_or(from_peer)
    }
}

impl Peer {
    fn read(text: &str) -> Option<Self> {
        let exact = text.parse().ok().map(Self::Exact);
        exact.or_else(|| text.parse().ok().map(Self::Range))
    }
}

fn connection(info: &ConnectionInfo, tls: Option<&TlsInfo>) -> Value {
    json!({
        "id": info.id.to_string(),
        "pool": info.protocol.as_ref().map(|protocol| format!("{}/{protocol}", info.listener)),
        "listener": info.listener.as_str(),
        "protocol": info.protocol,
        "state": info.phase.as_str(),
        "healthy": info.healthy,
        "peer": info.peer.to_string(),
        "local": info.local.to_string(),
        "proxy": info.proxy.map(|proxy| proxy.to_string()),
        "tls": tls.map(secured),
        "user_agent": info.user_agent,
        "age_ms": millis(info.age),
        "idle_ms": millis(info.idle),
        "bytes_received": info.bytes_received,
        "bytes_sent": info.bytes_sent,
        "requests": info.requests,
        "in_flight": info.in_flight,
    })
}

fn secured(tls: &TlsInfo) -> Value {
    json!({
        "version": tls.version,
        "cipher": tls.cipher,
        "server_name": tls.server_name,
        "alpn": tls.alpn.map(Alpn::as_str),
        "resumed": tls.resumed,
        "client": tls.client,
    })
}
