//! nginx, if it is installed: one process, which answers by itself.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::Peer;
use super::version::told;
use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::{BYTES, Work};

pub(super) struct Nginx;

impl Peer for Nginx {
    fn name(&self) -> &'static str {
        "nginx"
    }

    fn speaks(&self, _: Protocol) -> bool {
        true
    }

    fn does(&self, work: Work) -> bool {
        !work.is_grpc() && !matches!(work, Work::Echo(_) | Work::Upload)
    }

    fn ages(&self) -> bool {
        true
    }

    fn program(&self) -> OsString {
        "nginx".into()
    }

    fn version(&self) -> Option<String> {
        told("nginx", "-v")
    }

    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command> {
        let http2 = if protocol.is_http2() { "http2" } else { "" };
        let tls = if protocol.is_secured() { "ssl" } else { "" };
        let text = format!(
            r#"
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 19500; }}
http {{
    access_log off;
    keepalive_timeout {idle}s;
    keepalive_requests 1000000;
    client_header_timeout 3600s;
    server {{
        listen {at} backlog=4096 {tls} {http2};
        ssl_certificate server.crt;
        ssl_certificate_key server.key;
        location = /hello {{ default_type text/plain; return 200 "Hello, World!"; }}
        location = /bytes {{ sendfile on; alias {bytes}; }}
    }}
}}
"#,
            bytes = site.folder().join(BYTES).display(),
            idle = site.idle
        );
        let path = site.write("nginx.conf", &text)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(site.folder());
        command.arg("-e").arg("stderr").arg("-c").arg(path);
        Ok(command)
    }
}
