//! [`Kind`]: who serves the handler, and how it is started.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::peers::{Allocator, Peer, Running, version};
use crate::protocol::Protocol;
use crate::site::Site;

/// Requests at once that nginx lets through where it is told to bound them: tried by hand, 16 of 2 ms are answered in time.
pub(super) const PLACES: u32 = 16;

/// Who serves the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// wharf as a library, with its limit of requests.
    Limited,
    /// wharf as a library, without.
    Wharf,
    /// `axum::serve`.
    Axum,
    /// nginx before `axum::serve`, on the same core.
    Nginx,
    /// The same with a bound that somebody has found for this handler.
    NginxBound,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Limited,
        Self::Wharf,
        Self::Axum,
        Self::Nginx,
        Self::NginxBound,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Limited => "wharf, limit",
            Self::Wharf => "wharf, no limit",
            Self::Axum => "axum::serve",
            Self::Nginx => "nginx, axum",
            Self::NginxBound => "nginx, limit_conn",
        }
    }

    /// Whether another server is behind it.
    const fn is_before(self) -> bool {
        matches!(self, Self::Nginx | Self::NginxBound)
    }

    /// Starts it on the core of this thread, with what is behind it; whom to ask comes last. `None` if it is not installed.
    pub(super) fn start(self, site: &Site) -> Result<Option<Vec<Running>>> {
        let start = |kind, behind| {
            let served = Served { kind, behind };
            Running::start(&served, site, Protocol::Http1)
        };
        if !self.is_before() {
            return Ok(start(self, None)?.map(|it| vec![it]));
        }
        let axum = start(Self::Axum, None)?.context("bench/build makes it")?;
        let front = start(self, Some(axum.address))?;
        Ok(front.map(|front| vec![axum, front]))
    }

    /// Which version of it is measured.
    pub(super) fn version(self) -> Option<String> {
        Served {
            kind: self,
            behind: None,
        }
        .version()
    }
}

/// One server.
struct Served {
    kind: Kind,
    behind: Option<SocketAddr>,
}

impl Peer for Served {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn speaks(&self, protocol: Protocol) -> bool {
        protocol == Protocol::Http1
    }

    fn program(&self) -> OsString {
        if self.kind.is_before() {
            return "nginx".into();
        }
        let built: PathBuf = Allocator::Glibc.built("overload");
        built.into()
    }

    fn version(&self) -> Option<String> {
        match self.kind {
            Kind::Limited | Kind::Wharf => version::locked("wharf-http"),
            Kind::Axum => version::locked("axum"),
            Kind::Nginx | Kind::NginxBound => version::told("nginx", "-v"),
        }
    }

    fn command(&self, site: &Site, _: Protocol, at: SocketAddr) -> Result<Command> {
        let mut command = Command::new(self.program());
        let word = match self.kind {
            Kind::Limited => "limited",
            Kind::Wharf => "wharf",
            Kind::Axum => "axum",
            Kind::Nginx | Kind::NginxBound => {
                let path = site.write("nginx.conf", &self.nginx_file(at)?)?;
                command.arg("-p").arg(site.folder());
                command.arg("-e").arg("stderr").arg("-c").arg(path);
                return Ok(command);
            }
        };
        command.arg(at.to_string()).arg(word);
        Ok(command)
    }
}

impl Served {
    fn nginx_file(&self, at: SocketAddr) -> Result<String> {
        let behind = self.behind.context("nothing is behind it")?;
        let bound = match self.kind {
            Kind::NginxBound => format!("limit_conn all {PLACES}; limit_conn_status 503;"),
            _ => String::new(),
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
    limit_conn_zone $server_name zone=all:1m;
    upstream api {{
        server {behind} max_fails=0;
        keepalive 64;
        keepalive_requests 100000000;
    }}
    server {{
        listen {at} backlog=4096;
        server_name all;
        location / {{
            {bound}
            proxy_pass http://api;
            proxy_next_upstream off;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_set_header Connection "";
        }}
    }}
}}
"#
        ))
    }
}
