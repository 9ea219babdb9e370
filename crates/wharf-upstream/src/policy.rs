//! [`OutlierSettings`] and [`HealthCheckSettings`]: when an endpoint is left alone.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use wharf_control::upstream;
use wharf_pool::config::{BadValue, Count, Setting, Value};

use crate::settings::count;

wharf_pool::settings! {
    /// When an endpoint is left alone because of what it answers, and for how long.
    pub struct OutlierSettings, OutlierPatch {
        /// Whether endpoints are judged by their answers at all.
        enabled: bool = true, Now;
        /// So many failures in a row: no connection, no answer, 5xx, a gRPC status of that kind.
        consecutive_failures: Count = count(5), Now;
        /// Less than this part of successes, in percent, among the last 10 s. Off: only failures in a row.
        min_success_percent: Option<Count> = Some(count(50)), Now;
        /// The part counts from so many requests on.
        min_requests: Count = count(20), Now;
        /// How long it is left alone the first time; each further time in a row so much longer.
        base_ejection: Duration = Duration::from_secs(30), Now;
        /// The longest.
        max_ejection: Duration = Duration::from_mins(5), Now;
    }
}

impl OutlierSettings {
    /// As the law has them.
    pub(crate) fn law(&self) -> upstream::OutlierSettings {
        let law = upstream::OutlierSettings {
            base: self.base_ejection,
            longest: self.max_ejection,
            min_requests: u64::from(self.min_requests.get()),
            ..upstream::OutlierSettings::default()
        };
        if self.enabled {
            let percent = self.min_success_percent.map_or(0, Count::get);
            upstream::OutlierSettings {
                consecutive: self.consecutive_failures.into(),
                success_ratio: f64::from(percent.min(100)) / 100.0,
                ..law
            }
        } else {
            upstream::OutlierSettings {
                consecutive: NonZeroU32::MAX,
                success_ratio: 0.0,
                ..law
            }
        }
    }
}

wharf_pool::settings! {
    /// How endpoints are asked whether they are well.
    pub struct HealthCheckSettings, HealthCheckPatch {
        /// What is asked: `http` a path, `grpc` the standard service, `tcp` only a connection.
        kind: CheckKind = CheckKind::Http, Now;
        /// With `http`: the path. Well is who answers with 2xx or 3xx.
        path: CheckPath = CheckPath::default(), Now;
        /// With `grpc`: the service that is asked about; left out, the server as a whole.
        service: Option<ServiceName> = None, Now;
        /// How often, ±10 %.
        interval: Duration = Duration::from_secs(5), Now;
        /// How long an endpoint may take, the connection included.
        timeout: Duration = Duration::from_secs(2), Now;
        /// So many failures in a row take it out of use.
        fall: Count = count(3), Now;
        /// So many successes in a row take it back.
        rise: Count = count(2), Now;
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckKind {
    /// `GET` of a path.
    #[default]
    Http,
    /// `grpc.health.v1.Health/Check`.
    Grpc,
    /// A connection, with TLS where the scheme has it.
    Tcp,
}

impl CheckKind {
    /// The word in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

impl Setting for CheckKind {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let all = [Self::Http, Self::Grpc, Self::Tcp];
        let found = all
            .into_iter()
            .find(|it| value.as_text() == Some(it.as_str()));
        found.ok_or_else(|| BadValue::new(value, "\"http\", \"grpc\" or \"tcp\""))
    }

    fn write(&self) -> Value {
        Value::text(self.as_str())
    }
}

/// The path that a health check asks for, with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPath(http::uri::PathAndQuery);

impl CheckPath {
    pub(crate) fn uri(&self) -> http::Uri {
        self.0.clone().into()
    }
}

impl Default for CheckPath {
    fn default() -> Self {
        Self(http::uri::PathAndQuery::from_static("/"))
    }
}

impl Setting for CheckPath {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let text = value.as_text().filter(|text| text.starts_with('/'));
        let path = text.and_then(|text| text.parse().ok());
        path.map(Self)
            .ok_or_else(|| BadValue::new(value, "a path such as \"/health\""))
    }

    fn write(&self) -> Value {
        Value::text(self.0.as_str())
    }
}

/// The name of a gRPC service, at most 127 bytes: `demo.v1.Echo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName(Box<str>);

impl ServiceName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for ServiceName {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let named = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'_';
        let text = value.as_text().unwrap_or_default();
        if (1..128).contains(&text.len()) && text.bytes().all(named) {
            Ok(Self(text.into()))
        } else {
            Err(BadValue::new(value, "a service such as \"demo.v1.Echo\""))
        }
    }

    fn write(&self) -> Value {
        Value::text(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use wharf_pool::config::{Patch, Settings};

    use super::*;

    fn every_default_is_read_back<S: Settings>() {
        let settings = S::default();
        let mut patch = settings.patch();
        for (key, value) in settings.values() {
            patch.set(key.name, &value).unwrap();
        }
        let mut again = S::default();
        again.apply(&patch);
        assert_eq!(again, settings);
    }

    #[test]
    fn every_default_is_read_back_as_it_is_written() {
        every_default_is_read_back::<OutlierSettings>();
        every_default_is_read_back::<HealthCheckSettings>();
        every_default_is_read_back::<crate::PoolSettings>();
    }

    #[test]
    fn what_is_no_path_or_service_is_refused() {
        for (key, value) in [
            ("path", "health"),
            ("path", "/ä b"),
            ("service", "a/b"),
            ("service", ""),
            ("kind", "icmp"),
        ] {
            let mut patch = HealthCheckPatch::default();
            assert!(
                patch.set(key, &Value::text(value)).is_err(),
                "{key} = {value:?}"
            );
        }
    }
}
