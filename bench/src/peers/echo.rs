//! Libraries of WebSocket by themselves, from `peers/src/bin/tungstenite.rs` and `fastwebsockets.rs`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::version::locked;
use super::{Allocator, Peer};
use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::Work;

pub(super) struct Echo {
    /// The crate, which is how it is called.
    name: &'static str,
    binary: &'static str,
    allocator: Allocator,
}

impl Echo {
    pub(super) const fn tungstenite(allocator: Allocator) -> Self {
        Self {
            name: "tokio-tungstenite",
            binary: "tungstenite",
            allocator,
        }
    }

    pub(super) const fn fastwebsockets(allocator: Allocator) -> Self {
        Self {
            name: "fastwebsockets",
            binary: "fastwebsockets",
            allocator,
        }
    }
}

impl Peer for Echo {
    fn name(&self) -> &'static str {
        self.name
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        protocol == Protocol::Http1
    }

    fn does(&self, work: Work) -> bool {
        matches!(work, Work::Echo(_))
    }

    fn program(&self) -> OsString {
        self.allocator.built(self.binary).into()
    }

    fn version(&self) -> Option<String> {
        locked(self.name)
    }

    fn command(&self, site: &Site, _: Protocol, at: SocketAddr) -> Result<Command> {
        let mut command = Command::new(self.program());
        command.arg(at.to_string());
        command.arg("--workers").arg(site.workers.to_string());
        Ok(command)
    }
}
