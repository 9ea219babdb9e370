//! [`Way`]: a gateway, and how it is configured, in front of some servers.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::spoken::Spoken;
use crate::peers::{Peer, version};
use crate::protocol::Protocol;
use crate::site::Site;

/// Which gateway, and how it is told to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// With its defaults; requests that may be repeated are.
    Wharf,
    /// The same without connections ahead of requests.
    WharfUnprepared,
    /// With a limit of requests.
    WharfLimited,
    /// In turn.
    NginxInTurn,
    /// The fewest requests in flight.
    NginxLeast,
    /// The fewest requests in flight.
    HaProxy,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Wharf => "wharf",
            Self::WharfUnprepared => "wharf, min_idle off",
            Self::WharfLimited => "wharf, limit of requests",
            Self::NginxInTurn => "nginx, in turn",
            Self::NginxLeast => "nginx, least_conn",
            Self::HaProxy => "HAProxy, leastconn",
        }
    }
}

/// A gateway in front of some servers.
pub(super) struct Way {
    pub(super) kind: Kind,
    pub(super) wharf: PathBuf,
    pub(super) spoken: Spoken,
    pub(super) servers: Vec<SocketAddr>,
    /// Whether the servers want TLS.
    pub(super) tls: bool,
    /// Connections that are kept for each server where it has to be said.
    pub(super) kept: u32,
    pub(super) gone: Gone,
}

/// What is to be believed of a server that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// It goes on doing so.
    Broken,
    /// It is back in a moment.
    Back,
}

impl Peer for Way {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        protocol == self.spoken.protocol()
    }

    fn program(&self) -> OsString {
        match self.kind {
            Kind::Wharf | Kind::WharfUnprepared | Kind::WharfLimited => self.wharf.clone().into(),
            Kind::NginxInTurn | Kind::NginxLeast => "nginx".into(),
            Kind::HaProxy => "haproxy".into(),
        }
    }

    fn version(&self) -> Option<String> {
        let argument = match self.kind {
            Kind::Wharf | Kind::WharfUnprepared | Kind::WharfLimited => "--version",
            Kind::NginxInTurn | Kind::NginxLeast | Kind::HaProxy => "-v",
        };
        version::told(self.program().to_str()?, argument)
    }

    fn command(&self, site: &Site, _: Protocol, at: SocketAddr) -> Result<Command> {
        let mut command = Command::new(self.program());
        match self.kind {
            Kind::Wharf | Kind::WharfUnprepared | Kind::WharfLimited => {
                let path = site.write("wharf.toml", &self.wharf_file(at)?)?;
                command.arg("serve").arg("--config").arg(path);
            }
            Kind::NginxInTurn | Kind::NginxLeast => {
                let path = site.write("nginx.conf", &self.nginx_file(at)?)?;
                command.arg("-p").arg(site.folder());
                command.arg("-e").arg("stderr").arg("-c").arg(path);
            }
            Kind::HaProxy => {
                let path = site.write("haproxy.cfg", &self.haproxy_file(at)?)?;
                command.arg("-db").arg("-f").arg(path);
            }
        }
        Ok(command)
    }
}

/// The configurations: one thread, no access log, patience for clients that do nothing.
impl Way {
    fn wharf_file(&self, at: SocketAddr) -> Result<String> {
        let scheme = match (self.tls, self.spoken.is_http2_behind()) {
            (true, _) => "https",
            (false, true) => "h2c",
            (false, false) => "http",
        };
        let mut endpoints = String::new();
        for server in &self.servers {
            let port = server.port();
            let host = if self.tls { "localhost" } else { "127.0.0.1" };
            write!(endpoints, "\"{scheme}://{host}:{port}\", ")?;
        }
        let tls = if self.tls {
            r#"tls = { ca = "server.crt" }"#
        } else {
            ""
        };
        let min_idle = match self.kind {
            Kind::WharfUnprepared => "min_idle = \"off\"".to_owned(),
            _ if self.spoken.is_http2_behind() => String::new(),
            _ => format!("min_idle = {}", self.kept.min(4)),
        };
        let limit = match self.kind {
            Kind::WharfLimited => "[limits.requests]\nmode = \"on\"\n",
            _ => "",
        };
        let check = match self.gone {
            Gone::Broken => "",
            Gone::Back => {
                "[upstream.health_check]\npath = \"/hello\"\ninterval = \"200ms\"\nrise = 1\n"
            }
        };
        Ok(format!(
            r#"
[server]
workers = 1
[log]
access = false
level = "error"
[admin]
address = "off"
{limit}
[pools.http]
connection_timeout = "1h"
keep_alive_timeout = "1h"
[pools.http2]
connection_timeout = "1h"
keep_alive_timeout = "1h"
[[listener]]
name = "web"
address = "{at}"
protocols = ["http", "http2", "grpc"]
[[route]]
path = "/"
upstream = "api"
retry = "idempotent"
retries = 2
[[upstream]]
name = "api"
endpoints = [{endpoints}]
{tls}
[upstream.pool]
{min_idle}
{check}
"#
        ))
    }

    fn nginx_file(&self, at: SocketAddr) -> Result<String> {
        let http2 = match self.spoken.protocol() {
            Protocol::Http2 => "http2",
            _ => "",
        };
        let balance = match self.kind {
            Kind::NginxLeast => "least_conn;",
            _ => "",
        };
        let mut servers = String::new();
        for server in &self.servers {
            let watch = match self.gone {
                // As often as wharf does by default, and as long.
                Gone::Broken => "max_fails=5 fail_timeout=30s",
                // A server that was left alone would still be when the next one goes.
                Gone::Back => "max_fails=0",
            };
            write!(servers, "server {server} {watch}; ")?;
        }
        let kept = self.kept * u32::try_from(self.servers.len())?;
        let (scheme, pass) = match (self.spoken, self.tls) {
            (Spoken::Grpc, _) => ("grpc", "grpc_pass"),
            (_, true) => ("https", "proxy_pass"),
            (_, false) => ("http", "proxy_pass"),
        };
        let again = match self.spoken {
            Spoken::Grpc => "grpc_next_upstream",
            Spoken::Http1 | Spoken::Http2 => "proxy_next_upstream",
        };
        Ok(format!(
            r#"
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 19500; }}
http {{
    access_log off;
    keepalive_timeout 3600s;
    keepalive_requests 100000000;
    client_header_timeout 3600s;
    client_max_body_size 0;
    upstream api {{
        {balance}
        {servers}
        keepalive {kept};
        keepalive_requests 100000000;
        keepalive_timeout 3600s;
    }}
    server {{
        listen {at} backlog=4096 {http2};
        location / {{
            {pass} {scheme}://api;
            {again} error timeout http_500 http_502 http_503 http_504;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            grpc_set_header X-Forwarded-Proto $scheme;
        }}
    }}
}}
"#
        ))
    }

    fn haproxy_file(&self, at: SocketAddr) -> Result<String> {
        let http2 = match self.spoken.protocol() {
            Protocol::Http2 => "proto h2",
            _ => "",
        };
        let tls = if self.tls { "ssl verify none" } else { "" };
        let behind = if self.spoken.is_http2_behind() {
            "proto h2"
        } else {
            ""
        };
        let mut servers = String::new();
        for (nth, server) in self.servers.iter().enumerate() {
            let line = format!("server s{nth} {server} {behind} {tls}");
            // Out after as many failures as wharf has by default; back after two answers to its checks.
            let watch = match self.gone {
                Gone::Broken => "check inter 2s observe layer7 error-limit 5 on-error mark-down",
                Gone::Back => "check inter 200ms rise 1",
            };
            writeln!(servers, "    {line} {watch}")?;
        }
        let check = match self.spoken {
            Spoken::Grpc => "",
            Spoken::Http1 | Spoken::Http2 => "option httpchk GET /hello",
        };
        Ok(format!(
            "
global
    maxconn 9500
    nbthread 1
defaults
    mode http
    timeout client 1h
    timeout server 1h
    timeout connect 5s
    timeout http-request 1h
    timeout http-keep-alive 1h
    http-reuse always
    option forwardfor
    option redispatch 1
    retries 2
    retry-on all-retryable-errors 500
frontend web
    bind {at} backlog 4096 {http2}
    http-request set-header X-Forwarded-Proto http
    default_backend api
backend api
    balance leastconn
    {check}
{servers}"
        ))
    }
}
