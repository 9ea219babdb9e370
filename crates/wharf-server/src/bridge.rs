//! The bridge: one thread with a runtime of its own, awake whatever the workers do.
//!
//! Signals, the admin API and the lines about connections that ended are handled here, so that a
//! process whose workers are all blocked can still be looked at, drained and stopped.

use std::io;
use std::process::exit;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use crate::admin::{Desk, Door};
use crate::give_back;
use crate::live::{Live, Source, drain_settings, watch};
use crate::log::tell_closes;
use crate::pressure;
use crate::progress;
use crate::service_manager::{ServiceManager, State};

/// The exit code after a second signal: the shell's for an interrupted process.
const INTERRUPTED: i32 = 130;

/// How long the drain may be over its time before the process ends without it.
const OVERTIME: Duration = Duration::from_secs(5);

/// Starts the thread.
///
/// # Errors
///
/// The thread or its runtime could not be made.
pub(crate) fn start(
    desk: Arc<Desk>,
    door: Option<Door>,
    manager: ServiceManager,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Here and not on the thread: from now on a signal drains.
    let (signals, hang_up) = {
        let _context = runtime.enter();
        (Signals::listen()?, signal(SignalKind::hangup())?)
    };
    let stand = move || {
        runtime.block_on(async {
            let api = async {
                match door {
                    Some(door) => door.serve(desk.router(), &desk.live).await,
                    None => std::future::pending().await,
                }
            };
            let clock = desk.registry().clock();
            tokio::join!(
                api,
                signals.obey(&desk),
                reload_on(hang_up, &desk.live, &manager),
                Box::pin(watch(Arc::clone(&desk.live))),
                tell_closes(desk.registry().events().subscribe()),
                desk.events.keep(desk.registry().events().subscribe()),
                desk.events.keep_from(desk.upstreams.told(), &clock),
                desk.past.keep(desk.registry(), &desk.figures, desk.started),
                stop_overtime(desk.stop.subscribe(), &desk),
                progress::show(&desk),
                Box::pin(pressure::watch(&desk)),
                give_back::watch(&desk.figures, || desk.registry().occupancy().active),
            );
        });
    };
    std::thread::Builder::new()
        .name("bridge".to_owned())
        .spawn(stand)
        .map(drop)
}

/// Reloads the configuration with every SIGHUP. What came of it has been told.
async fn reload_on(mut hang_up: Signal, live: &Live, manager: &ServiceManager) {
    while hang_up.recv().await.is_some() {
        manager.tell(State::Reloading);
        live.reload(Source::Sighup).await.ok();
        manager.tell(State::Ready);
    }
}

/// The signals that end a process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The first signal drains, the second ends the process at once.
    async fn obey(mut self, desk: &Desk) {
        let mut told = false;
        loop {
            let name = tokio::select! {
                Some(()) = self.terminate.recv() => "SIGTERM",
                Some(()) = self.interrupt.recv() => "SIGINT",
                else => return,
            };
            if told {
                tracing::warn!(signal = name, "second signal: the process ends at once");
                end(desk, INTERRUPTED);
            }
            told = true;
            tracing::info!(
                signal = name,
                "draining; a second signal ends the process at once"
            );
            desk.stop.send_replace(true);
        }
    }
}

/// Ends a process whose workers are so blocked that not even the drain's deadline is noticed.
async fn stop_overtime(mut stop: Receiver<bool>, desk: &Desk) {
    // An error means that nobody can ask for a drain any more.
    if stop.wait_for(|stopping| *stopping).await.is_err() {
        return;
    }
    let drain = drain_settings(&desk.live.config().server);
    sleep(drain.delay + drain.timeout + OVERTIME).await;
    tracing::error!("the drain is over its time: workers are blocked; the process ends");
    end(desk, 0);
}

#[expect(
    clippy::exit,
    reason = "the workers may be blocked, so nothing else ends the process"
)]
fn end(desk: &Desk, code: i32) -> ! {
    desk.logs.flush();
    exit(code)
}
