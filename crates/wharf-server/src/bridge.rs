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
use tokio::sync::watch;
use tokio::time::sleep;

use crate::admin::{Desk, Door};
use crate::log::tell_closes;

/// The exit code after a second signal: the shell's for an interrupted process.
const INTERRUPTED: i32 = 130;

/// How long the drain may be over its time before the process ends without it.
const OVERTIME: Duration = Duration::from_secs(5);

/// Starts the thread. `longest_drain` is the time that a drain can take in good order.
///
/// # Errors
///
/// The thread or its runtime could not be made.
pub(crate) fn start(
    desk: Arc<Desk>,
    door: Option<Door>,
    longest_drain: Duration,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Here and not on the thread: from now on a signal drains.
    let signals = {
        let _context = runtime.enter();
        Signals::listen()?
    };
    let stand = move || {
        runtime.block_on(async {
            let api = async {
                match door {
                    Some(door) => door.serve(desk.router()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::join!(
                api,
                signals.obey(&desk),
                tell_closes(desk.registry().events().subscribe()),
                stop_overtime(desk.stop.subscribe(), longest_drain, &desk),
            );
        });
    };
    std::thread::Builder::new()
        .name("bridge".to_owned())
        .spawn(stand)
        .map(drop)
}

/// The signals that a process is sent.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Reserved for the reload of the configuration; until then it must not kill.
    hang_up: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The first signal drains, the second ends the process at once.
    async fn obey(mut self, desk: &Desk) {
        let mut told = false;
        loop {
            let name = tokio::select! {
                Some(()) = self.terminate.recv() => "SIGTERM",
                Some(()) = self.interrupt.recv() => "SIGINT",
                Some(()) = self.hang_up.recv() => {
                    tracing::warn!("SIGHUP does nothing in this version");
                    continue;
                }
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
async fn stop_overtime(mut stop: watch::Receiver<bool>, longest: Duration, desk: &Desk) {
    // An error means that nobody can ask for a drain any more.
    if stop.wait_for(|stopping| *stopping).await.is_err() {
        return;
    }
    sleep(longest + OVERTIME).await;
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
