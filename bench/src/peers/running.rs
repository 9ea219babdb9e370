//! [`Running`]: a server that was started, and stops when it is dropped.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Peer;
use crate::protocol::Protocol;
use crate::site::Site;

/// A server that was started, and stops when it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// How long one may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

impl Running {
    /// Starts it and waits until it listens; `None` if it is not installed.
    pub(crate) fn start(peer: &dyn Peer, site: &Site, protocol: Protocol) -> Result<Option<Self>> {
        let address = Site::address()?;
        let spawned = peer
            .command(site, protocol, address)?
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(peer.name()),
        };
        let mut running = Self { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.child.try_wait()? {
                bail!("{} has ended: {status}", peer.name());
            }
            if begun.elapsed() > PATIENCE {
                bail!("{} does not listen", peer.name());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(Some(running))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself needs no more.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
