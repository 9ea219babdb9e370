//! `axum::serve`, from `peers/src/bin/axum.rs`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::version::locked;
use super::{Allocator, Peer};
use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::Work;

pub(super) struct Axum(pub(super) Allocator);

impl Peer for Axum {
    fn name(&self) -> &'static str {
        "axum::serve"
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        !protocol.is_secured()
    }

    fn does(&self, work: Work) -> bool {
        !work.is_grpc() && !matches!(work, Work::Echo(_))
    }

    fn program(&self) -> OsString {
        self.0.built("axum").into()
    }

    fn version(&self) -> Option<String> {
        locked("axum")
    }

    fn command(&self, site: &Site, _: Protocol, at: SocketAddr) -> Result<Command> {
        let mut command = Command::new(self.program());
        command.arg(at.to_string());
        command.arg("--workers").arg(site.workers.to_string());
        Ok(command)
    }
}
