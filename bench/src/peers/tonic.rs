//! tonic's own server, from `peers/src/bin/tonic.rs`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::version::locked;
use super::{Allocator, Peer};
use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::Work;

pub(super) struct Tonic(pub(super) Allocator);

impl Peer for Tonic {
    fn name(&self) -> &'static str {
        "tonic"
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        protocol == Protocol::Http2
    }

    fn does(&self, work: Work) -> bool {
        work.is_grpc()
    }

    fn program(&self) -> OsString {
        self.0.built("tonic").into()
    }

    fn version(&self) -> Option<String> {
        locked("tonic")
    }

    fn command(&self, site: &Site, _: Protocol, at: SocketAddr) -> Result<Command> {
        let mut command = Command::new(self.program());
        command.arg(at.to_string());
        command.arg("--workers").arg(site.workers.to_string());
        Ok(command)
    }
}
