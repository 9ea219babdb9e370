//! The binary `wharf`: one listener that speaks everything, with its defaults.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::Peer;
use super::version::told;
use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::Work;

pub(super) struct Wharf(pub(super) PathBuf);

impl Peer for Wharf {
    fn name(&self) -> &'static str {
        "wharf"
    }

    fn speaks(&self, _: Protocol) -> bool {
        true
    }

    fn does(&self, _: Work) -> bool {
        true
    }

    fn ages(&self) -> bool {
        true
    }

    fn program(&self) -> OsString {
        self.0.clone().into()
    }

    fn version(&self) -> Option<String> {
        told(self.0.to_str()?, "--version")
    }

    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command> {
        let (http, tls) = if protocol.is_secured() {
            let tls = r#"tls = { certificate = "server.crt", key = "server.key" }"#;
            ("https", tls)
        } else {
            ("http", "")
        };
        // The others write no access log either.
        let text = format!(
            r#"
[server]
workers = {workers}
[log]
access = false
level = "error"
[admin]
address = "off"
[limits]
max_tls_handshakes = 1024
[pools.{http}]
connection_timeout = "1h"
keep_alive_timeout = "{idle}s"
[pools.http2]
connection_timeout = "1h"
keep_alive_timeout = "1h"
[[listener]]
name = "web"
address = "{at}"
protocols = ["{http}", "http2", "grpc", "websocket"]
{tls}
[[route]]
path = "/"
app = "demo"
"#,
            workers = site.workers,
            idle = site.idle,
        );
        let mut command = Command::new(&self.0);
        command.arg("serve").arg("--config");
        command.arg(site.write("wharf.toml", &text)?);
        Ok(command)
    }
}
