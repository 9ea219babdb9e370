//! The life of the process: start everything or nothing, wait, drain, report.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::service::Routes as Services;
use wharf_http::admission::Admission;
use wharf_http::grpc::{Following, Health};
use wharf_http::{DrainReport, Running, Server, StartError};
use wharf_pool::ListenerName;

use crate::admin::{Desk, Door};
use crate::config::{AdminAddress, Auto, Config, ServerSettings, overcommitted};
use crate::event_log::EventLog;
use crate::gateway::{Directory, Unstarted, Upstreams};
use crate::handed_in::{HandedIn, HandedInError};
use crate::live::{Kit, Live, Served, drain_settings};
use crate::log::Logs;
use crate::otel::Telemetry;
use crate::past::Past;
use crate::pressure::Pressure;
use crate::process::ProcessFigures;
use crate::room::Room;
use crate::service_manager::{ServiceManager, State};
use crate::{bridge, demo, descriptors, wall_clock};

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ServeError {
    /// The threads could not be made.
    #[error("cannot start the threads")]
    Threads(#[source] io::Error),
    /// The admin API's address.
    #[error("admin.address: cannot listen on {address}")]
    Admin {
        /// The address.
        address: AdminAddress,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// A listener's address.
    #[error("listener[{index}].address")]
    Listener {
        /// Which listener of the file.
        index: usize,
        /// The listener's name, the address and the kernel's reason.
        #[source]
        source: StartError,
    },
    /// The sockets that a service manager has opened.
    #[error(transparent)]
    HandedIn(#[from] HandedInError),
    /// The gRPC services that are built in.
    #[error("cannot make the gRPC services")]
    Services(#[source] tonic_reflection::server::Error),
    /// An upstream.
    #[error(transparent)]
    Upstream(#[from] Unstarted),
    /// More places are guaranteed than there are.
    #[error("{key}: {reason}")]
    Guaranteed {
        /// The first key that is too much.
        key: String,
        /// How much there is.
        reason: String,
    },
    /// The listeners do not go together.
    #[error("cannot start the listeners")]
    Listeners(#[source] StartError),
}

/// Says where everything listens.
fn announce(running: &Running, admin: Option<&str>, exposed: bool) {
    for (listener, address) in running.addresses() {
        tracing::info!(%listener, %address, "listening");
    }
    let Some(address) = admin else { return };
    tracing::info!(address, "admin listening");
    if exposed {
        tracing::warn!(
            address,
            "the admin token crosses the network in plain: set admin.tls"
        );
    }
}

/// A process that serves.
pub(crate) struct Serving {
    runtime: Runtime,
    running: Running,
    upstreams: Upstreams,
    logs: Logs,
    telemetry: Telemetry,
    stop: watch::Receiver<bool>,
    manager: ServiceManager,
    /// The listeners that speak TLS.
    secured: Vec<String>,
    #[expect(dead_code, reason = "held for its drop")]
    following: Following,
    /// Where the admin API is, for people; `None` if it is off.
    pub(crate) admin: Option<String>,
}

impl Serving {
    /// Starts everything that `config` says, or nothing; `file` is where it was read.
    ///
    /// # Errors
    ///
    /// [`ServeError`], with the key that it is about.
    pub(crate) fn start(
        config: Config,
        file: Option<&Path>,
        logs: Logs,
    ) -> Result<Self, ServeError> {
        let descriptors = descriptors::raise();
        let workers = workers(&config.server);
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build();
        let runtime = runtime.map_err(ServeError::Threads)?;
        let address = &config.admin.settings.address;
        let door = Door::bind(address).map_err(|source| ServeError::Admin {
            address: address.clone(),
            source,
        })?;
        let secured_door = config.admin.tls.is_some();
        let admin = door.as_ref().map(|door| door.address(secured_door));
        let health = Health::new();
        let services = demo::grpc::routes(&health).map_err(ServeError::Services)?;
        let upstreams = Upstreams::new(runtime.handle().clone());
        let kit = kit(&config, Room::here(descriptors), services, &upstreams)?;
        // The demo's addresses are its own affair.
        let handed_in =
            file.map_or_else(|| Ok(HandedIn::default()), |_| HandedIn::to_this_process());
        let telemetry = kit.telemetry;
        let running = runtime.block_on(start(&config, &logs, &kit, handed_in?))?;
        let following = health.follow(running.registry());
        let exposed = config.admin.is_open() && config.admin.tls.is_none();
        let secured = secured(&config);
        let (stop, stopped) = watch::channel(false);
        let file = file.map(Path::to_owned);
        let admission = kit.admission.clone();
        let live = Live::new(file, config, running.clone(), logs.clone(), kit);
        let desk = Desk {
            running: running.clone(),
            upstreams: upstreams.clone(),
            admission,
            live: Arc::new(live),
            events: EventLog::new(wall_clock::era()),
            past: Past::default(),
            pressure: Pressure::default(),
            stop,
            logs: logs.clone(),
            figures: ProcessFigures::open(),
            started: Instant::now(),
            descriptors,
        };
        let (manager, desk) = (ServiceManager::of_this_process(), Arc::new(desk));
        let figures = Arc::clone(&desk);
        let sending = telemetry.run(move || figures.metrics());
        sending.map_err(ServeError::Threads)?;
        bridge::start(desk, door, manager.clone()).map_err(ServeError::Threads)?;
        announce(&running, admin.as_deref(), exposed);
        Ok(Self {
            runtime,
            running,
            upstreams,
            logs,
            telemetry,
            stop: stopped,
            manager,
            admin,
            secured,
            following,
        })
    }

    /// Where each listener listens.
    pub(crate) fn addresses(&self) -> Vec<(String, SocketAddr)> {
        let addresses = self.running.addresses();
        addresses
            .into_iter()
            .map(|(name, address)| (name.to_string(), address))
            .collect()
    }

    /// Whether a listener speaks TLS.
    pub(crate) fn is_secured(&self, listener: &str) -> bool {
        self.secured.iter().any(|name| name == listener)
    }

    /// Serves until a signal or the admin API says that it is over, and drains.
    pub(crate) fn until_drained(mut self) -> DrainReport {
        self.runtime.spawn(self.manager.clone().keep_alive());
        self.manager.tell(State::Ready);
        let report = self.runtime.block_on(async {
            // An error means that the bridge is gone, and with it everybody who could say so.
            self.stop.wait_for(|stopping| *stopping).await.ok();
            self.manager.tell(State::Stopping);
            let report = self.running.drain().await;
            // Nobody asks them any more: what is left is idle, and learns that it ends.
            self.upstreams.close().await;
            report
        });
        let took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            finished = report.finished,
            cut = report.cut,
            took_ms,
            "drained"
        );
        self.telemetry.flush();
        self.logs.flush();
        // A handler that blocks its worker must not hold up the exit.
        self.runtime.shutdown_background();
        report
    }
}

/// What listeners need beside the configuration, with the upstreams started.
fn kit(
    config: &Config,
    room: Room,
    services: Services,
    upstreams: &Upstreams,
) -> Result<Kit, Unstarted> {
    let started = upstreams.prepare(&[], &config.upstreams)?;
    let served = served(config, started.directory());
    started.commit(config.server.drain_timeout);
    Ok(Kit {
        room,
        admission: Admission::new(config.requests.admission()),
        services,
        upstreams: upstreams.clone(),
        served,
        telemetry: Telemetry::new(&config.otel),
    })
}

/// What of each listener changes while it serves.
fn served(config: &Config, upstreams: &Directory) -> BTreeMap<ListenerName, Served> {
    let listeners = config.listeners.iter();
    listeners
        .map(|it| (it.name.clone(), Served::new(config, it, upstreams)))
        .collect()
}

fn secured(config: &Config) -> Vec<String> {
    let listeners = config.listeners.iter().filter(|it| it.tls.is_some());
    listeners.map(|it| it.name.to_string()).collect()
}

async fn start(
    config: &Config,
    logs: &Logs,
    kit: &Kit,
    mut handed_in: HandedIn,
) -> Result<Running, ServeError> {
    let limits = config.limits.scope(&kit.room);
    if let Some(problem) = overcommitted(limits.max_connections, &config.listeners) {
        let (key, reason) = (problem.key, problem.reason);
        return Err(ServeError::Guaranteed { key, reason });
    }
    if let (Some(asked), Some(room)) = (limits.max_connections, kit.room.descriptors)
        && asked > room
    {
        let (asked, room) = (asked.get(), room.get());
        tracing::warn!(
            asked,
            room,
            "max_connections is more than the descriptor limit has room for"
        );
    }
    let mut server = Server::builder()
        .limits(limits)
        .max_tls_handshakes(config.limits.max_tls_handshakes.into())
        .drain(drain_settings(&config.server))
        .observer(kit.telemetry.observer(logs.access()));
    for listener in &config.listeners {
        if let Some(served) = kit.served.get(&listener.name) {
            let app = served.app(&kit.services, &kit.admission);
            let mut setup = served.setup(config, listener);
            if let Some(socket) = handed_in.take(&listener.name, listener.address)? {
                setup = setup.socket(socket);
            }
            server = server.listener(setup, app);
        }
    }
    handed_in.all_taken()?;
    let running = server.start().await;
    let running = running.map_err(|source| failed(config, source))?;
    running.grpc_calls().declare(demo::grpc::METHODS);
    Ok(running)
}

fn failed(config: &Config, source: StartError) -> ServeError {
    let StartError::Listen { listener, .. } = &source else {
        return ServeError::Listeners(source);
    };
    match config
        .listeners
        .iter()
        .position(|other| other.name == *listener)
    {
        Some(index) => ServeError::Listener { index, source },
        None => ServeError::Listeners(source),
    }
}

/// How many workers there are: as written, else one for each core.
pub(crate) fn workers(server: &ServerSettings) -> usize {
    match server.workers {
        Auto::Found => std::thread::available_parallelism().map_or(1, NonZero::get),
        Auto::Set(workers) => workers.get() as usize,
    }
}
