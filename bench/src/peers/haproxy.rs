//! `HAProxy`, if it is installed: one process with one thread, which answers by itself.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::Peer;
use super::version::told;
use crate::protocol::Protocol;
use crate::site::Site;

pub(super) struct HaProxy;

impl Peer for HaProxy {
    fn name(&self) -> &'static str {
        "HAProxy"
    }

    fn speaks(&self, _: Protocol) -> bool {
        true
    }

    fn ages(&self) -> bool {
        true
    }

    fn program(&self) -> OsString {
        "haproxy".into()
    }

    fn version(&self) -> Option<String> {
        told("haproxy", "-v")
    }

    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command> {
        let both = site.both();
        let bind = match protocol {
            Protocol::Http1 => String::new(),
            Protocol::Http2 => "proto h2".to_owned(),
            Protocol::Https => format!("ssl crt {} alpn http/1.1", both.display()),
            Protocol::Http2Tls => format!("ssl crt {} alpn h2", both.display()),
        };
        let text = format!(
            r#"
global
    no strict-limits
    maxconn 19000
    nbthread 1
defaults
    mode http
    timeout client 1h
    timeout server 1h
    timeout connect 5s
    timeout http-request 1h
    timeout http-keep-alive {idle}s
frontend web
    bind {at} backlog 4096 {bind}
    http-request return status 200 content-type text/plain string "Hello, World!"
"#,
            idle = site.idle
        );
        let path = site.write("haproxy.cfg", &text)?;
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(path);
        Ok(command)
    }
}
