//! [`Health`]: `grpc.health.v1.Health`, by which clients and balancers know whom not to call.
//!
//! Of tonic-health only the messages are used. Its reporter can only be told by an async function,
//! its watchers of a service that is not there yet are turned away, which the protocol forbids, and
//! they stay to the end of a drain, which then takes all the time that it may.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as Protocol, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use wharf_pool::events::{CallbackGuard, EventKind};
use wharf_pool::{Connection, HealthStatus, Registry, ServingState};

/// Whether the services serve, as their callers are told. Cheap to clone; all clones say the same.
///
/// A service serves if it was said to and the process takes work. The service `""`, the process as a
/// whole, is there from the start.
#[derive(Clone)]
pub struct Health {
    board: Arc<watch::Sender<Board>>,
}

/// What there is to tell.
#[derive(Debug)]
struct Board {
    stage: Stage,
    services: BTreeMap<Box<str>, ServingStatus>,
}

/// What the process says of itself. It only goes back before it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// It takes work.
    Serving,
    /// It does not, and whoever watches is told.
    NotServing,
    /// It waits for its calls to end, and a watch is one.
    Leaving,
}

impl Board {
    fn status_of(&self, service: &str) -> Option<ServingStatus> {
        let status = *self.services.get(service)?;
        Some(match self.stage {
            Stage::Serving => status,
            Stage::NotServing | Stage::Leaving => ServingStatus::NotServing,
        })
    }
}

/// A request names one service; more is not taken in.
const LONGEST_REQUEST: usize = 1024;

impl Health {
    /// The process serves.
    pub fn new() -> Self {
        let services = BTreeMap::from([("".into(), ServingStatus::Serving)]);
        let board = Board {
            stage: Stage::Serving,
            services,
        };
        Self {
            board: Arc::new(watch::Sender::new(board)),
        }
    }

    /// The service to be added to the routes, once for each listener or one for all.
    pub fn service(&self) -> HealthServer<HealthService> {
        let service = HealthService {
            health: self.clone(),
        };
        HealthServer::new(service).max_decoding_message_size(LONGEST_REQUEST)
    }

    /// `service` (`package.Service`, or `""`) serves from now on.
    pub fn set_serving(&self, service: &str) {
        self.set(service, ServingStatus::Serving);
    }

    /// `service` does not serve from now on.
    pub fn set_not_serving(&self, service: &str) {
        self.set(service, ServingStatus::NotServing);
    }

    /// `service` is no longer known.
    pub fn forget(&self, service: &str) {
        self.board
            .send_if_modified(|board| board.services.remove(service).is_some());
    }

    fn set(&self, service: &str, status: ServingStatus) {
        self.board.send_if_modified(|board| {
            let before = board.services.insert(service.into(), status);
            before != Some(status)
        });
    }

    /// Says the same as the pools of `registry` from now on, until the [`Following`] is dropped: no
    /// service serves while the server drains, or while none of its pools takes work. Watchers are
    /// told where that happens, so before a listener closes; when the drain waits for what is in
    /// flight, their calls end.
    pub fn follow<C: Connection>(&self, registry: &Registry<C>) -> Following {
        let (health, pools) = (self.clone(), registry.clone());
        let callback = registry.events().on(move |event| {
            if let EventKind::Drain { phase } = event.kind {
                health.enter(stage_of(phase));
            } else if matches!(event.kind, EventKind::HealthStatusChanged { .. }) {
                health.enter(stage_now(&pools));
            }
        });
        // After the callback is there, so that no change is missed.
        self.enter(stage_now(registry));
        Following { callback }
    }

    fn enter(&self, stage: Stage) {
        self.board.send_if_modified(|board| {
            let before = board.stage;
            if before != Stage::Leaving {
                board.stage = stage;
            }
            before != board.stage
        });
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health")
            .field(&*self.board.borrow())
            .finish()
    }
}

fn stage_now<C: Connection>(registry: &Registry<C>) -> Stage {
    let pools = registry.all();
    let serves = |status| status != HealthStatus::Unavailable;
    let any = pools.is_empty() || pools.iter().any(|pool| serves(pool.health().status));
    if any && registry.state() != ServingState::Draining {
        Stage::Serving
    } else {
        Stage::NotServing
    }
}

/// What a drain that enters `phase` lets be said.
fn stage_of(phase: &str) -> Stage {
    match phase {
        "delay" | "closing_listeners" => Stage::NotServing,
        _ => Stage::Leaving,
    }
}

/// Keeps a [`Health`] following a server, whose registry it keeps alive; dropping it leaves what was
/// said last.
#[must_use = "dropping it ends the following"]
#[derive(Debug)]
pub struct Following {
    #[expect(dead_code, reason = "held for its drop")]
    callback: CallbackGuard,
}

/// The methods of `grpc.health.v1.Health`.
#[derive(Clone, Debug)]
pub struct HealthService {
    health: Health,
}

#[tonic::async_trait]
impl Protocol for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        let status = self.health.board.borrow().status_of(&service);
        let status = status.ok_or_else(|| Status::not_found("unknown service"))?;
        Ok(Response::new(said(status)))
    }

    type WatchStream = Watching;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Watching>, Status> {
        let mut board = self.health.board.subscribe();
        // What is there now is said at once.
        board.mark_changed();
        Ok(Response::new(Watching {
            service: request.into_inner().service,
            said: None,
            next: Box::pin(next(board)),
            ended: false,
        }))
    }
}

fn said(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

/// What somebody is told who watches a service: its status at once and each change, until the server
/// leaves. It has no task; a slow watcher is told the latest.
pub struct Watching {
    service: String,
    said: Option<ServingStatus>,
    next: Pin<Box<dyn Future<Output = Option<watch::Receiver<Board>>> + Send>>,
    ended: bool,
}

/// Waits for a change; `None` if there can be no more.
async fn next(mut board: watch::Receiver<Board>) -> Option<watch::Receiver<Board>> {
    board.changed().await.ok().map(|()| board)
}

impl Stream for Watching {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.ended {
            let Poll::Ready(board) = self.next.as_mut().poll(cx) else {
                return Poll::Pending;
            };
            let Some(mut board) = board else {
                break;
            };
            let (stage, status) = {
                let board = board.borrow_and_update();
                (board.stage, board.status_of(&self.service))
            };
            let status = status.unwrap_or(ServingStatus::ServiceUnknown);
            if self.said != Some(status) {
                self.said = Some(status);
                if stage == Stage::Leaving {
                    // It is told first; the end comes with the next look.
                    board.mark_changed();
                }
                self.next = Box::pin(next(board));
                return Poll::Ready(Some(Ok(said(status))));
            }
            if stage == Stage::Leaving {
                self.ended = true;
                return Poll::Ready(Some(Err(Status::unavailable("the server is leaving"))));
            }
            self.next = Box::pin(next(board));
        }
        self.ended = true;
        Poll::Ready(None)
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching")
            .field("service", &self.service)
            .field("said", &self.said)
            .finish_non_exhaustive()
    }
}
