//! [`Changed`]: what one configuration has otherwise than another, setting by setting.

use std::collections::BTreeMap;
use std::fmt::Write;

use wharf_http::Protocol;
use wharf_pool::config::{Applies, Key, Setting, Settings, Value};

use super::forward::ForwardSettings;
use super::groups::{ADDRESS, PROTOCOLS, PROXY_PROTOCOL, ROUTES, TLS};
use super::route::Target;
use super::upstream::ENDPOINTS;
use super::{Config, Forward, ListenerConfig, Route, UpstreamConfig, otel};

/// One setting that differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changed {
    /// Its path, with listeners by their names: `listener.web.pools.http.max_age`.
    pub(crate) path: String,
    /// What it was; `None` if it was not there.
    pub(crate) old: Option<Value>,
    /// What it is; `None` if it is gone.
    pub(crate) new: Option<Value>,
    /// When the change takes effect.
    pub(crate) effect: Applies,
}

impl Changed {
    /// What the change means for open connections, in a few words.
    pub(crate) fn for_open_connections(&self) -> &'static str {
        match (&self.old, &self.new) {
            (None, _) => "there are none yet",
            (_, None) => Applies::NewListener.for_open_connections(),
            (Some(_), Some(_)) => self.effect.for_open_connections(),
        }
    }
}

/// What `new` has otherwise than `old`, in the order of the file.
///
/// A listener that only one of them has is one difference, by its address.
pub(crate) fn differences(old: &Config, new: &Config) -> Vec<Changed> {
    let (before, after) = (Flat::of(old), Flat::of(new));
    let mut list: Vec<_> = before.gone(&after).chain(after.changed(&before)).collect();
    // That it is another may be told, what it is may not.
    let mut hidden = |path: &str| {
        list.push(Changed {
            path: path.to_owned(),
            old: Some(Value::text("…")),
            new: Some(Value::text("…")),
            effect: Applies::Now,
        });
    };
    if old.admin.token != new.admin.token && old.admin.settings == new.admin.settings {
        hidden("admin.token");
    }
    if old.otel.headers != new.otel.headers && old.otel.settings == new.otel.settings {
        hidden("otel.headers");
    }
    let moved = old.admin.settings.address != new.admin.settings.address;
    for changed in &mut list {
        // Who may ask is decided for the address: one goes with the other.
        if moved && changed.path.starts_with("admin.") {
            changed.effect = Applies::Restart;
        }
    }
    list
}

/// Every setting by its path.
#[derive(Default)]
struct Flat {
    order: Vec<String>,
    settings: BTreeMap<String, (Applies, Value)>,
}

impl Flat {
    fn of(config: &Config) -> Self {
        let mut flat = Self::default();
        flat.table("server", config.server.values());
        flat.table("admin", config.admin.settings.values());
        if let Some(tls) = &config.admin.tls {
            flat.table("admin", vec![(TLS, Value::text(tls.shown()))]);
        }
        flat.table("log", config.log.values());
        flat.table("limits", config.limits.values());
        flat.table("limits.requests", config.requests.values());
        flat.table("limits.requests.sources", config.priorities.values());
        flat.table("otel", config.otel.settings.values());
        if let Some(tls) = &config.otel.tls {
            flat.table("otel", vec![(otel::TLS, Value::text(tls.shown()))]);
        }
        let has =
            |listener: &ListenerConfig, wanted| listener.pools.iter().any(|(p, _)| *p == wanted);
        for listener in &config.listeners {
            flat.listener(listener);
            if has(listener, Protocol::Grpc) && !has(listener, Protocol::Http2) {
                let frames = format!("listener.{}.pools.grpc.http2", listener.name);
                flat.table(&frames, config.http2().values());
            }
        }
        for upstream in &config.upstreams {
            flat.upstream(upstream);
        }
        if !config.routes.is_empty() {
            let routes = config.routes.iter().map(|route| Value::text(shown(route)));
            flat.put(
                ROUTES.name.to_owned(),
                ROUTES,
                Value::List(routes.collect()),
            );
        }
        flat
    }

    fn listener(&mut self, listener: &ListenerConfig) {
        let path = format!("listener.{}", listener.name);
        let address = Value::text(listener.address.to_string());
        self.put(format!("{path}.{}", ADDRESS.name), ADDRESS, address);
        let protocols = listener.pools.iter();
        let protocols = protocols.map(|(protocol, _)| Value::text(protocol.as_str()));
        self.table(&path, vec![(PROTOCOLS, Value::List(protocols.collect()))]);
        self.table(&path, listener.limits.values());
        self.table(&path, listener.tcp.values());
        if let Some(tls) = &listener.tls {
            self.table(&path, vec![(TLS, Value::text(tls.shown()))]);
        }
        if let Some(trusted) = &listener.proxies {
            let trusted = trusted.iter().map(|range| Value::text(range.to_string()));
            self.table(
                &path,
                vec![(PROXY_PROTOCOL, Value::List(trusted.collect()))],
            );
        }
        for (protocol, pool) in &listener.pools {
            self.table(
                &format!("{path}.pools.{}", protocol.as_str()),
                pool.values(),
            );
        }
    }

    fn upstream(&mut self, upstream: &UpstreamConfig) {
        let path = format!("upstream.{}", upstream.name);
        self.table(&path, vec![(ENDPOINTS, upstream.endpoint_values())]);
        self.table(&path, upstream.choice.values());
        for group in upstream.groups() {
            let path = format!("{path}.{}", group.name);
            self.table(&path, group.values);
            if let Some(tls) = group.tls {
                self.table(&path, vec![(TLS, Value::text(tls.shown()))]);
            }
        }
        if let Some(tls) = &upstream.tls {
            self.table(&path, vec![(TLS, Value::text(tls.shown()))]);
        }
    }

    fn table(&mut self, path: &str, values: Vec<(Key, Value)>) {
        for (key, value) in values {
            self.put(format!("{path}.{}", key.name), key, value);
        }
    }

    fn put(&mut self, path: String, key: Key, value: Value) {
        self.order.push(path.clone());
        self.settings.insert(path, (key.applies, value));
    }

    fn entries(&self) -> impl Iterator<Item = (&String, Applies, &Value)> {
        let entry = |path| {
            self.settings
                .get(path)
                .map(|(applies, value)| (path, *applies, value))
        };
        self.order.iter().filter_map(entry)
    }

    /// Whether the path is one of a listener, a pool or an upstream that is not here: the listener's
    /// address, or its list of protocols, or the upstream's endpoints, stand for all of them.
    fn is_foreign(&self, path: &str) -> bool {
        let parts: Vec<_> = path.split('.').collect();
        match parts[..] {
            ["listener", name, key] if key != ADDRESS.name => {
                !self.has(&format!("listener.{name}."))
            }
            ["upstream", name, key, ..] if key != ENDPOINTS.name => {
                !self.has(&format!("upstream.{name}."))
            }
            ["listener", name, "pools", protocol, ..] => {
                !self.has(&format!("listener.{name}.pools.{protocol}."))
            }
            _ => false,
        }
    }

    fn has(&self, prefix: &str) -> bool {
        let from = self.settings.range(prefix.to_owned()..);
        from.map(|(path, _)| path)
            .next()
            .is_some_and(|path| path.starts_with(prefix))
    }

    /// What is not in `after` any more.
    fn gone(&self, after: &Self) -> impl Iterator<Item = Changed> {
        let gone = self
            .entries()
            .filter(|(path, ..)| !after.settings.contains_key(*path) && !after.is_foreign(path));
        gone.map(|(path, effect, old)| Changed {
            path: path.clone(),
            old: Some(old.clone()),
            new: None,
            effect,
        })
    }

    /// What is here and was not so in `before`.
    fn changed(&self, before: &Self) -> impl Iterator<Item = Changed> {
        self.entries().filter_map(|(path, effect, new)| {
            let old = before.settings.get(path).map(|(_, old)| old.clone());
            let differs = old.as_ref() != Some(new) && !before.is_foreign(path);
            differs.then(|| Changed {
                path: path.clone(),
                old,
                new: Some(new.clone()),
                effect,
            })
        })
    }
}

/// A route in one line.
fn shown(route: &Route) -> String {
    let listener = route.listener.as_ref().map_or("*", |name| name.as_str());
    let host = route.host.as_deref().unwrap_or("*");
    let target = match &route.target {
        Target::Demo => "demo".to_owned(),
        Target::Respond { status, body } => format!("{} {body:?}", status.as_u16()),
        Target::Redirect { port } => format!("https:{port}"),
        Target::Upstream(forward) => forwarded(forward),
    };
    let shown = format!("{listener} {host} {} -> {target}", route.path);
    match &route.priority {
        None => shown,
        Some(priority) => format!("{shown}, priority = {}", priority.write()),
    }
}

/// An upstream with what is not so by default.
fn forwarded(forward: &Forward) -> String {
    let mut shown = format!("upstream {}", forward.upstream);
    let defaults = ForwardSettings::default().values();
    for ((key, value), (_, default)) in forward.settings.values().into_iter().zip(defaults) {
        if value != default {
            // Writing to a string cannot fail.
            let _ = write!(shown, ", {} = {value}", key.name);
        }
    }
    let fields = [
        ("request_headers", &forward.request_fields),
        ("response_headers", &forward.response_fields),
    ];
    for (key, fields) in fields.into_iter().filter(|(_, fields)| !fields.is_empty()) {
        let _ = write!(shown, ", {key} = {fields}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::upstream::Choice;
    use super::*;

    fn config(more: &str) -> Config {
        let listener = "[[listener]]\nname = 'a'\naddress = '[::1]:1'\nprotocols = ['http']\n";
        Config::parse(&format!("{listener}{more}"), Path::new("/nowhere")).unwrap()
    }

    fn told(old: &str, new: &str) -> Vec<String> {
        let changes = differences(&config(old), &config(new));
        let text = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
        let line = |it: &Changed| {
            let (old, new) = (text(&it.old), text(&it.new));
            format!("{} {old} {new} {}", it.path, it.effect.as_str())
        };
        changes.iter().map(line).collect()
    }

    const OTHER: &str = "[[listener]]\nname = 'b'\naddress = '[::1]:2'\nprotocols = ['http']\n";

    #[test]
    fn what_is_written_otherwise_and_means_the_same_is_no_difference() {
        let old = "[pools.http]\nmax_age = '1h'\n";
        assert_eq!(
            told(old, "# a comment\n[listener.pools.http]\nmax_age = '60m'\n"),
            [""; 0]
        );
    }

    #[test]
    fn each_setting_says_when_it_takes_effect() {
        let new = "backlog = 9\n[listener.pools.http]\nmax_headers = 50\n[server]\nworkers = 3\n";
        let expected = [
            "server.workers \"auto\" 3 restart",
            "listener.a.backlog 4096 9 next_connection",
            "listener.a.pools.http.max_headers 100 50 now",
        ];
        assert_eq!(told("", new), expected);
    }

    #[test]
    fn the_page_about_reloads_says_the_same() {
        const PAGE: &str = include_str!("../../../../docs/reload.md");
        let tables = [
            crate::config::ServerSettings::KEYS,
            crate::config::groups::AdminSettings::KEYS,
            crate::config::LogSettings::KEYS,
            otel::OtelSettings::KEYS,
            crate::config::ProcessLimits::KEYS,
            crate::config::RequestLimits::KEYS,
            crate::config::SourcePriorities::KEYS,
            wharf_http::TcpSettings::KEYS,
            wharf_pool::config::CommonSettings::KEYS,
            wharf_http::HttpSettings::KEYS,
            wharf_http::Http2Settings::KEYS,
            wharf_http::GrpcSettings::KEYS,
            ForwardSettings::KEYS,
            Choice::KEYS,
            wharf_upstream::PoolSettings::KEYS,
            wharf_upstream::HealthCheckSettings::KEYS,
            wharf_upstream::OutlierSettings::KEYS,
            &[ADDRESS, PROTOCOLS, TLS, PROXY_PROTOCOL],
        ];
        let waits = |key: &&Key| key.applies != Applies::Now;
        for key in tables.into_iter().flatten().filter(waits) {
            let (name, effect) = (
                format!("{}`", key.name),
                format!("`{}`", key.applies.as_str()),
            );
            let says = |row: &str| row.contains(&name) && row.contains(&effect);
            assert!(PAGE.lines().any(says), "{name} {effect}");
        }
    }

    #[test]
    fn without_a_pool_for_http2_that_of_grpc_has_its_frames_from_the_base() {
        let only = "[[listener]]\nname = 'g'\naddress = '[::1]:3'\nprotocols = ['grpc']\n";
        let new = format!("{only}[pools.http2]\nmax_concurrent_streams = 9\n");
        let expected = "listener.g.pools.grpc.http2.max_concurrent_streams 100 9 next_connection";
        assert_eq!(told(only, &new), [expected]);
    }

    #[test]
    fn a_protocol_that_goes_is_one_difference() {
        let with = |protocols: &str| {
            format!("[[listener]]\nname = 'g'\naddress = '[::1]:3'\nprotocols = [{protocols}]\n")
        };
        let expected = r#"listener.g.protocols ["http", "http2"] ["http"] next_connection"#;
        assert_eq!(told(&with("'http', 'http2'"), &with("'http'")), [expected]);
    }

    #[test]
    fn a_listener_that_comes_or_goes_is_one_difference() {
        assert_eq!(
            told("", OTHER),
            ["listener.b.address - \"[::1]:2\" new_listener"]
        );
        assert_eq!(
            told(OTHER, ""),
            ["listener.b.address \"[::1]:2\" - new_listener"]
        );
    }

    #[test]
    fn the_order_of_routes_is_part_of_what_they_mean() {
        let [a, b] = ["/a", "/b"].map(|path| format!("[[route]]\npath = '{path}'\napp = 'demo'\n"));
        let changes = told(&format!("{a}{b}"), &format!("{b}{a}"));
        let expected = r#"route ["* * /a -> demo", "* * /b -> demo"] ["* * /b -> demo", "* * /a -> demo"] now"#;
        assert_eq!(changes, [expected]);
    }

    #[test]
    fn who_may_ask_waits_with_the_address_that_it_was_written_for() {
        let new = "[admin]\naddress = '[::1]:9'\nallowed_hosts = ['a']\n";
        let expected = [
            "admin.address \"127.0.0.1:9900\" \"[::1]:9\" restart",
            "admin.allowed_hosts [] [\"a\"] restart",
        ];
        assert_eq!(told("", new), expected);
        let (now, next) = (config(""), config(new));
        assert_eq!(next.keeping(&now).admin, now.admin);
        let hosts = config("[admin]\nallowed_hosts = ['a']\n");
        assert_eq!(hosts.keeping(&now).admin, hosts.admin);
    }

    #[test]
    fn what_needs_a_restart_keeps_its_value_and_the_rest_does_not() {
        let now = config("[server]\nworkers = 2\ndrain_delay = '1s'\n");
        let next = config("[server]\nworkers = 3\ndrain_delay = '2s'\n").keeping(&now);
        let left = differences(&now, &next);
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].path, "server.drain_delay");
    }

    #[test]
    fn a_listener_stays_while_only_its_limits_and_pools_differ() {
        let stays = |more: &str| config("").listeners[0].stays_as(&config(more).listeners[0]);
        assert!(stays(
            "max_connections = 5\n[listener.pools.http]\nmax_age = '1h'\n"
        ));
        assert!(!stays("nodelay = false\n"));
        assert!(!stays("proxy_protocol = { trusted = ['10.0.0.0/8'] }\n"));
    }
}
