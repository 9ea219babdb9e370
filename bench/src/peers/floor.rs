//! The floor, from `peers/src/bin/floor.rs`: it understands nothing.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::version::locked;
use super::{Allocator, Peer};
use crate::protocol::Protocol;
use crate::site::Site;

pub(super) struct Floor(pub(super) Allocator);

impl Peer for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        !protocol.is_http2()
    }

    fn program(&self) -> OsString {
        self.0.built("floor").into()
    }

    fn version(&self) -> Option<String> {
        Some(format!("tokio {}", locked("tokio")?))
    }

    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command> {
        let mut command = Command::new(self.program());
        command.arg(at.to_string());
        command.arg("--workers").arg(site.workers.to_string());
        if protocol.is_secured() {
            command.arg("--certificate").arg(site.certificate());
            command.arg("--key").arg(site.key());
        }
        Ok(command)
    }
}
