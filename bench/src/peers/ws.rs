//! The package `ws` of Node.js, where `bench/build` could install it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::Peer;
use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::Work;

pub(super) struct Ws;

/// Where `bench/build` installs it.
fn package() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join("target/node/node_modules/ws")
}

impl Peer for Ws {
    fn name(&self) -> &'static str {
        "Node.js ws"
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        protocol == Protocol::Http1
    }

    fn does(&self, work: Work) -> bool {
        matches!(work, Work::Echo(_))
    }

    fn program(&self) -> OsString {
        "node".into()
    }

    fn version(&self) -> Option<String> {
        let text = std::fs::read_to_string(package().join("package.json")).ok()?;
        let rest = text.split_once("\"version\": \"")?.1;
        Some(rest.split_once('"')?.0.to_owned())
    }

    fn command(&self, site: &Site, _: Protocol, at: SocketAddr) -> Result<Command> {
        let text = format!(
            r"
const {{ WebSocketServer }} = require('{package}');
const server = new WebSocketServer({{ host: '{host}', port: {port}, backlog: 4096, perMessageDeflate: false }});
server.on('connection', it => it.on('message', (data, isBinary) => it.send(data, {{ binary: isBinary }})));
",
            package = package().display(),
            host = at.ip(),
            port = at.port()
        );
        let mut command = Command::new("node");
        // Where the package is not, it cannot be started, as if there were no Node.js.
        command.current_dir(package());
        command.arg(site.write("ws.js", &text)?);
        Ok(command)
    }
}
