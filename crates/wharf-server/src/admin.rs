//! The admin API: what operators see of the pools, and what they may change while they run.
//!
//! It answers from its own thread and its own runtime ([`crate::bridge`]), through its own listener
//! with descriptors in reserve ([`door`]), so that it answers when nothing else does. axum and not
//! plain hyper: a dozen paths with methods and parameters are a router's work, and the demo brings
//! it anyway. Start reading at [`operation`]: the list of what can be asked.

mod config;
mod connections;
mod door;
mod events;
mod fault;
mod gate;
mod health;
mod lock;
mod metrics;
mod openapi;
mod operation;
mod own;
mod page;
mod past;
mod pools;
mod requests;
mod spare;
mod upstreams;

pub(crate) use door::Door;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use wharf_http::admission::Admission;
use wharf_http::{HttpConnection, Running};
use wharf_pool::Registry;

use crate::event_log::EventLog;
use crate::gateway::Upstreams;
use crate::live::Live;
use crate::log::Logs;
use crate::past::Past;
use crate::pressure::Pressure;
use crate::process::ProcessFigures;
use fault::{Answer, Fault};
use operation::OPERATIONS;

/// The largest request body: far above any change of a pool.
const LARGEST_BODY: usize = 64 << 10;

/// Everything that the admin API answers from.
#[derive(Debug)]
pub(crate) struct Desk {
    /// What serves.
    pub(crate) running: Running,
    /// Whom requests go to.
    pub(crate) upstreams: Upstreams,
    /// How many requests are worked on at a time.
    pub(crate) admission: Admission,
    /// The configuration in force.
    pub(crate) live: Arc<Live>,
    /// What happened last.
    pub(crate) events: EventLog,
    /// What the last ten minutes were like.
    pub(crate) past: Past,
    /// How short of memory it is.
    pub(crate) pressure: Pressure,
    /// Told when the process is to drain.
    pub(crate) stop: watch::Sender<bool>,
    /// The streams, for what they lost.
    pub(crate) logs: Logs,
    /// What the process uses.
    pub(crate) figures: ProcessFigures,
    /// When it began.
    pub(crate) started: Instant,
    /// How many descriptors it may have.
    pub(crate) descriptors: Option<u64>,
}

impl Desk {
    /// The pools.
    pub(crate) fn registry(&self) -> &Registry<HttpConnection> {
        self.running.registry()
    }

    /// The text of `/metrics`.
    pub(crate) fn metrics(self: &Arc<Self>) -> String {
        // Writing to a string does not fail.
        metrics::text(Arc::clone(self)).unwrap_or_default()
    }

    /// The API.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let mut router = Router::new();
        for operation in OPERATIONS {
            router = router.route(operation.path, (operation.handler)());
        }
        // Parts of the page, and not of the API.
        router = router.route("/dashboard/{file}", get(page::file));
        router
            .fallback(async || {
                Fault::new(StatusCode::NOT_FOUND, "there is nothing here; try /pools")
            })
            .method_not_allowed_fallback(async || {
                Fault::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here")
            })
            .layer(DefaultBodyLimit::max(LARGEST_BODY))
            .layer(from_fn_with_state(Arc::clone(self), gate::gate))
            .with_state(Arc::clone(self))
    }
}

/// `POST /drain`: the answer comes at once, the drain takes its time.
async fn drain(State(desk): State<Arc<Desk>>) -> impl IntoResponse {
    tracing::info!("drain asked for by the admin API");
    desk.stop.send_replace(true);
    (StatusCode::ACCEPTED, Answer(json!({ "state": "draining" })))
}
