//! The settings in force, as a file that says where each comes from.

use std::fmt::Write;

use wharf_http::Protocol;
use wharf_pool::config::{Key, Setting, Settings, Value};

use super::report::Origins;
use super::route::Target;
use super::{
    AdminConfig, Config, Forward, ListenerConfig, OtelConfig, PoolSettings, Route, UpstreamConfig,
};
use crate::room::Room;
use crate::{descriptors, otel, serve};

/// The whole configuration as TOML, each setting with its source in a comment. Reading it again
/// gives the same configuration.
pub(crate) fn effective(config: &Config, file: Option<&str>) -> String {
    let mut page = Page {
        out: String::new(),
        origins: &config.origins,
        file,
    };
    page.table("server", &server_values(config));
    page.admin(&config.admin);
    page.table("log", &config.log.values());
    page.table("limits", &limit_values(config));
    page.table("limits.requests", &config.requests.values());
    page.table("limits.requests.sources", &config.priorities.values());
    page.otel(&config.otel);
    for protocol in Protocol::ALL {
        let values = config.base.of(protocol).values();
        page.table(&format!("pools.{}", protocol.as_str()), &values);
    }
    for (n, listener) in config.listeners.iter().enumerate() {
        page.listener(n, listener);
    }
    for (n, route) in config.routes.iter().enumerate() {
        page.route(n, route);
    }
    for (n, upstream) in config.upstreams.iter().enumerate() {
        page.upstream(n, upstream);
    }
    page.out
}

fn server_values(config: &Config) -> Vec<(Key, Value)> {
    let workers = i64::try_from(serve::workers(&config.server)).ok();
    let mut values = config.server.values();
    found(&mut values, "workers", workers.map(Value::Integer));
    values
}

fn limit_values(config: &Config) -> Vec<(Key, Value)> {
    let (limits, room) = (&config.limits, Room::here(descriptors::hard_limit()));
    let connections = limits.scope(&room).max_connections;
    let mut values = limits.values();
    found(
        &mut values,
        "max_connections",
        connections.as_ref().map(Setting::write),
    );
    let memory = room.memory(limits.memory);
    found(&mut values, "memory", memory.as_ref().map(Setting::write));
    values
}

/// Puts what the machine decides in the place of `"auto"`.
fn found(values: &mut [(Key, Value)], name: &str, found: Option<Value>) {
    let value = values.iter_mut().find(|(key, _)| key.name == name);
    if let (Some((_, value)), Some(found)) = (value, found) {
        *value = found;
    }
}

struct Page<'a> {
    out: String,
    origins: &'a Origins,
    /// The file's name.
    file: Option<&'a str>,
}

impl Page<'_> {
    fn admin(&mut self, admin: &AdminConfig) {
        self.settings("admin", &admin.settings.values());
        if let Some(tls) = &admin.tls {
            self.line(format_args!("tls = {}  # file", tls.written));
        }
        self.line(format_args!(""));
    }

    fn otel(&mut self, otel: &OtelConfig) {
        if !otel::BUILT_IN {
            return;
        }
        self.settings("otel", &otel.settings.values());
        if let Some(tls) = otel.tls.as_ref().filter(|tls| !tls.written.is_empty()) {
            self.line(format_args!("tls = {}  # file", tls.written));
        }
        self.line(format_args!(""));
    }

    fn table(&mut self, path: &str, values: &[(Key, Value)]) {
        self.settings(path, values);
        self.line(format_args!(""));
    }

    fn settings(&mut self, path: &str, values: &[(Key, Value)]) {
        self.line(format_args!("[{path}]"));
        for (key, value) in values {
            let source = self.source(&format!("{path}.{}", key.name));
            self.setting(
                key.name,
                value,
                &source.unwrap_or_else(|| "default".to_owned()),
            );
        }
    }

    fn listener(&mut self, n: usize, listener: &ListenerConfig) {
        let path = format!("listener[{n}]");
        let from_file = if self.file.is_some() { "file" } else { "demo" };
        self.line(format_args!("[[listener]]"));
        self.setting("name", &Value::text(listener.name.as_str()), from_file);
        self.setting(
            "address",
            &Value::text(listener.address.to_string()),
            from_file,
        );
        let protocols = listener
            .pools
            .iter()
            .map(|(p, _)| Value::text(p.as_str()))
            .collect();
        self.setting("protocols", &Value::List(protocols), from_file);
        for (key, value) in listener
            .limits
            .values()
            .into_iter()
            .chain(listener.tcp.values())
        {
            let source = self.source(&format!("{path}.{}", key.name));
            self.setting(
                key.name,
                &value,
                &source.unwrap_or_else(|| "default".to_owned()),
            );
        }
        if let Some(trusted) = &listener.proxies {
            let trusted = trusted
                .iter()
                .map(|range| Value::text(range.to_string()))
                .collect();
            let trusted = Value::List(trusted);
            self.line(format_args!(
                "proxy_protocol = {{ trusted = {trusted} }}  # {from_file}"
            ));
        }
        if let Some(tls) = &listener.tls {
            self.line(format_args!("tls = {}  # {from_file}", tls.written));
        }
        for (protocol, pool) in &listener.pools {
            self.pool(&path, protocol.as_str(), pool);
        }
        self.line(format_args!(""));
    }

    fn pool(&mut self, listener: &str, protocol: &str, pool: &PoolSettings) {
        self.line(format_args!("[listener.pools.{protocol}]"));
        for (key, value) in pool.values() {
            let own = self.source(&format!("{listener}.pools.{protocol}.{}", key.name));
            let base = || {
                let place = self.source(&format!("pools.{protocol}.{}", key.name))?;
                Some(format!("{place}, [pools.{protocol}]"))
            };
            let source = own.or_else(base).unwrap_or_else(|| "default".to_owned());
            self.setting(key.name, &value, &source);
        }
    }

    fn forward(&mut self, n: usize, forward: &Forward) {
        self.setting("upstream", &Value::text(forward.upstream.as_str()), "file");
        self.values(&format!("route[{n}]"), forward.settings.values());
        let fields = [
            ("request_headers", &forward.request_fields),
            ("response_headers", &forward.response_fields),
        ];
        for (key, fields) in fields.into_iter().filter(|(_, fields)| !fields.is_empty()) {
            self.line(format_args!("{key} = {fields}  # file"));
        }
    }

    fn route(&mut self, n: usize, route: &Route) {
        self.line(format_args!("[[route]]"));
        if let Some(listener) = &route.listener {
            self.setting("listener", &Value::text(listener.as_str()), "file");
        }
        if let Some(host) = &route.host {
            self.setting("host", &Value::text(host), "file");
        }
        self.setting("path", &Value::text(&route.path), "file");
        let source = self.source(&format!("route[{n}].priority"));
        let source = source.unwrap_or_else(|| "default".to_owned());
        self.setting("priority", &route.priority.write(), &source);
        match &route.target {
            Target::Demo => self.setting("app", &Value::text("demo"), "file"),
            Target::Respond { status, body } => {
                let (status, body) = (status.as_u16(), Value::text(body));
                self.line(format_args!(
                    "respond = {{ status = {status}, body = {body} }}  # file"
                ));
            }
            Target::Redirect { port } => {
                self.setting("redirect", &Value::text(format!("https:{port}")), "file");
            }
            Target::Upstream(forward) => self.forward(n, forward),
        }
        self.line(format_args!(""));
    }

    fn upstream(&mut self, n: usize, upstream: &UpstreamConfig) {
        let path = format!("upstream[{n}]");
        self.line(format_args!("[[upstream]]"));
        self.setting("name", &Value::text(upstream.name.as_str()), "file");
        if !upstream.endpoints.is_empty() {
            let endpoints = upstream.endpoints_written();
            self.line(format_args!("endpoints = {endpoints}  # file"));
        }
        self.values(&path, upstream.choice.values());
        if let Some(tls) = upstream.tls.as_ref().filter(|tls| !tls.written.is_empty()) {
            self.line(format_args!("tls = {}  # file", tls.written));
        }
        for group in upstream.groups() {
            self.line(format_args!("[upstream.{}]", group.name));
            self.values(&format!("{path}.{}", group.name), group.values);
            if let Some(tls) = group.tls.filter(|tls| !tls.written.is_empty()) {
                self.line(format_args!("tls = {}  # file", tls.written));
            }
        }
        self.line(format_args!(""));
    }

    /// Settings of the section of that path.
    fn values(&mut self, path: &str, values: Vec<(Key, Value)>) {
        for (key, value) in values {
            let source = self.source(&format!("{path}.{}", key.name));
            let source = source.unwrap_or_else(|| "default".to_owned());
            self.setting(key.name, &value, &source);
        }
    }

    fn setting(&mut self, key: &str, value: &Value, source: &str) {
        let setting = format!("{key} = {value}");
        self.line(format_args!("{setting:<48}# {source}"));
    }

    /// Where a setting was written, if it was.
    fn source(&self, key: &str) -> Option<String> {
        let line = self.origins.of(key)?;
        self.file.map(|name| format!("file, {name}:{line}"))
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.out, "{line}");
    }
}
