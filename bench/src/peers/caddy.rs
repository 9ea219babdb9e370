//! Caddy, if it is installed: one process, with as many threads of Go as it is given workers.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::Peer;
use super::version::told;
use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::Work;

pub(super) struct Caddy;

impl Peer for Caddy {
    fn name(&self) -> &'static str {
        "Caddy"
    }

    fn speaks(&self, _: Protocol) -> bool {
        true
    }

    fn does(&self, work: Work) -> bool {
        matches!(work, Work::Hello | Work::Handshake { .. } | Work::Download)
    }

    fn ages(&self) -> bool {
        true
    }

    fn program(&self) -> OsString {
        "caddy".into()
    }

    fn version(&self) -> Option<String> {
        told("caddy", "version")
    }

    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command> {
        let (scheme, tls) = if protocol.is_secured() {
            ("https", "tls server.crt server.key")
        } else {
            ("http", "")
        };
        let spoken = match protocol {
            Protocol::Http1 | Protocol::Https => "h1",
            Protocol::Http2 => "h1 h2 h2c",
            Protocol::Http2Tls => "h1 h2",
        };
        let text = format!(
            r#"
{{
    admin off
    auto_https off
    servers {{
        protocols {spoken}
        timeouts {{
            idle {idle}s
        }}
    }}
}}
{scheme}://localhost:{port}, {scheme}://{at} {{
    bind {host}
    {tls}
    header Content-Type text/plain
    respond /hello "Hello, World!"
    root * {root}
    file_server /bytes
}}
"#,
            host = at.ip(),
            port = at.port(),
            root = site.folder().display(),
            idle = site.idle,
        );
        let mut command = Command::new("caddy");
        command.env("GOMAXPROCS", site.workers.to_string());
        // Where it would keep what it does not have to.
        command.env("HOME", site.folder());
        command.current_dir(site.folder());
        command.arg("run").arg("--adapter").arg("caddyfile");
        command.arg("--config").arg(site.write("Caddyfile", &text)?);
        Ok(command)
    }
}
