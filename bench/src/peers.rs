//! The servers that are compared: how each is started, and stopped. Each answers `GET /hello` with the
//! same 13 bytes, or speaks gRPC or WebSocket only.

mod actix;
mod axum;
mod caddy;
mod echo;
mod floor;
mod haproxy;
mod hyper;
mod nginx;
mod node;
mod running;
mod tonic;
pub(crate) mod version;
mod wharf;
mod ws;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

pub(crate) use running::Running;

use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::Work;

/// What every peer answers.
pub(crate) const ANSWER: &[u8] = b"Hello, World!";

/// A server that can be started.
pub(crate) trait Peer {
    fn name(&self) -> &'static str;

    fn speaks(&self, protocol: Protocol) -> bool;

    /// Whether it answers that, too.
    fn does(&self, work: Work) -> bool {
        matches!(work, Work::Hello | Work::Handshake { .. })
    }

    /// Whether it closes connections on which nothing happens, after the time that all are given.
    fn ages(&self) -> bool {
        false
    }

    /// The program, by its path or as it is found in `PATH`.
    fn program(&self) -> OsString;

    /// Its version; `None` if it is not installed.
    fn version(&self) -> Option<String>;

    /// How it is started to serve at this address: in the foreground, and as one process.
    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command>;
}

/// What the peers in Rust allocate with. Those in C have their own pools, over glibc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Allocator {
    Glibc,
    Mimalloc,
    Jemalloc,
}

impl Allocator {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::Mimalloc => "mimalloc",
            Self::Jemalloc => "jemalloc",
        }
    }

    /// A peer of this workspace that was built with it.
    pub(crate) fn built(self, name: &str) -> PathBuf {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        here.join("target/peers").join(self.name()).join(name)
    }
}

/// All of them, the one that the others are measured by first.
pub(crate) fn all(allocator: Allocator, wharf: PathBuf) -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(hyper::Hyper(allocator)),
        Box::new(wharf::Wharf(wharf)),
        Box::new(axum::Axum(allocator)),
        Box::new(actix::Actix(allocator)),
        Box::new(nginx::Nginx),
        Box::new(haproxy::HaProxy),
        Box::new(caddy::Caddy),
        Box::new(node::Node),
        Box::new(tonic::Tonic(allocator)),
        Box::new(echo::Echo::tungstenite(allocator)),
        Box::new(echo::Echo::fastwebsockets(allocator)),
        Box::new(ws::Ws),
        Box::new(floor::Floor(allocator)),
    ]
}
