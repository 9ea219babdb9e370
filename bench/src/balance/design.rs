//! [`Design`]: who gets which connection.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use crate::peers::{Allocator, Peer, version};
use crate::protocol::Protocol;
use crate::site::Site;

/// Who gets which connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Design {
    /// One runtime; whoever has nothing to do takes work from the others.
    Shared,
    /// A runtime for each worker; a connection is for ever with whoever had fewest when it came.
    Apart,
}

impl Design {
    pub(super) const ALL: [Self; 2] = [Self::Shared, Self::Apart];
}

impl Peer for Design {
    fn name(&self) -> &'static str {
        match self {
            Self::Shared => "work is stolen",
            Self::Apart => "a runtime for each worker",
        }
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        !protocol.is_secured()
    }

    fn program(&self) -> OsString {
        Allocator::Glibc.built("hyper").into()
    }

    fn version(&self) -> Option<String> {
        version::locked("hyper")
    }

    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command> {
        let mut command = Command::new(self.program());
        command.arg(at.to_string());
        command.arg("--workers").arg(site.workers.to_string());
        if protocol.is_http2() {
            command.arg("--http2");
        }
        if matches!(self, Self::Apart) {
            command.arg("--apart");
        }
        Ok(command)
    }
}
