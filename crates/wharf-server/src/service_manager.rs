//! [`ServiceManager`]: who started the process and wants to know how it goes (`sd_notify(3)`).
//!
//! The protocol is one datagram of lines to a socket that the environment names; systemd listens
//! there, and whoever does as it does. Nobody listens: nothing is told.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Everything listens; also: a reload is over.
    Ready,
    /// The configuration is being read again.
    Reloading,
    /// A drain has begun.
    Stopping,
    /// The workers work.
    Alive,
}

/// The service manager, if there is one that wants to hear.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceManager {
    listener: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names.
    pub(crate) fn of_this_process() -> Self {
        let listener = env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let found = reach(&name);
            // Logged and not fatal: whoever waits in vain says so.
            let failed =
                |error: &io::Error| tracing::warn!(%error, "the service manager is not reached");
            found.inspect_err(failed).ok()
        });
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0);
        Self {
            listener: listener.map(Arc::new),
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// Tells it how the process goes.
    pub(crate) fn tell(&self, state: State) {
        let Some(listener) = &self.listener else {
            return;
        };
        let (socket, address) = &**listener;
        if let Err(error) = socket.send_to_addr(words(state).as_bytes(), address) {
            tracing::debug!(%error, ?state, "the service manager was not told");
        }
    }

    /// Says for ever that the workers work, twice as often as the service manager wants to hear it.
    /// To be run by a worker: where all are blocked, nobody says so.
    pub(crate) async fn keep_alive(self) {
        let Some(patience) = self.watchdog else {
            return;
        };
        let mut ticks = interval((patience / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell(State::Alive);
        }
    }
}

/// A socket that does not wait, and where to: a path, or with `@` a name that is in no file system.
fn reach(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// The lines of `sd_notify(3)`.
fn words(state: State) -> String {
    match state {
        State::Ready => "READY=1\nSTATUS=serving\n".to_owned(),
        State::Reloading => {
            let now = clock_gettime(ClockId::Monotonic);
            let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
            format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the configuration\n")
        }
        State::Stopping => "STOPPING=1\nSTATUS=draining\n".to_owned(),
        State::Alive => "WATCHDOG=1\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_at_is_in_no_file_system() {
        let name = format!("wharf-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let told = UnixDatagram::bind_addr(&address).unwrap();
        let manager = ServiceManager {
            listener: Some(Arc::new(reach(format!("@{name}").as_ref()).unwrap())),
            watchdog: None,
        };
        manager.tell(State::Stopping);
        let mut heard = [0; 64];
        let length = told.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"STOPPING=1\nSTATUS=draining\n");
    }

    #[test]
    fn where_nobody_listens_nothing_happens() {
        let manager = ServiceManager {
            listener: Some(Arc::new(reach("/nowhere/notify".as_ref()).unwrap())),
            watchdog: None,
        };
        manager.tell(State::Ready);
        ServiceManager::default().tell(State::Ready);
    }

    #[test]
    fn a_reload_is_told_with_its_time() {
        let told = words(State::Reloading);
        let micros = told
            .lines()
            .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(micros.unwrap().parse::<u64>().unwrap() > 0);
    }
}
