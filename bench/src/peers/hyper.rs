//! hyper by itself, from `peers/src/bin/hyper.rs`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::version::locked;
use super::{Allocator, Peer};
use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::Work;

pub(super) struct Hyper(pub(super) Allocator);

impl Peer for Hyper {
    fn name(&self) -> &'static str {
        "hyper"
    }

    fn speaks(&self, _: Protocol) -> bool {
        true
    }

    fn does(&self, work: Work) -> bool {
        !work.is_grpc() && !matches!(work, Work::Echo(_))
    }

    fn ages(&self) -> bool {
        true
    }

    fn program(&self) -> OsString {
        self.0.built("hyper").into()
    }

    fn version(&self) -> Option<String> {
        locked("hyper")
    }

    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command> {
        let mut command = Command::new(self.program());
        command.arg(at.to_string());
        command.arg("--workers").arg(site.workers.to_string());
        if protocol.is_http2() {
            command.arg("--http2");
        } else if site.idle < 3_600 {
            // It has no timer unless it has to have one.
            command.arg("--idle").arg(format!("{}s", site.idle));
        }
        if protocol.is_secured() {
            command.arg("--certificate").arg(site.certificate());
            command.arg("--key").arg(site.key());
        }
        Ok(command)
    }
}
