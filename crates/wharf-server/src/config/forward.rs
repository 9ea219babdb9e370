//! `[[route]]` with `upstream`: how requests go to it, and their answers come back.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use wharf_pool::config::{BadValue, ByteSize, Setting, Value};
use wharf_pool::{ListenerName, settings};

use super::fields::{FieldChanges, read_changes};
use super::report::{Report, cut};
use super::section::Section;
use super::word::Again;
use crate::gateway::Rewrite;

/// How the requests of a route go to an upstream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Forward {
    /// The upstream's name.
    pub(crate) upstream: ListenerName,
    /// The settings.
    pub(crate) settings: ForwardSettings,
    /// What becomes of the route's own path: from `strip_prefix` and `rewrite`.
    pub(crate) rewrite: Rewrite,
    /// Fields of requests that are set or removed.
    pub(crate) request_fields: Arc<FieldChanges>,
    /// The same of answers.
    pub(crate) response_fields: Arc<FieldChanges>,
}

settings! {
    /// The settings of a `[[route]]` that has an `upstream`.
    pub struct ForwardSettings, ForwardPatch {
        /// Whether the upstream sees the path without that of the route.
        strip_prefix: bool = false, Now;
        /// What the upstream sees in place of the route's path.
        rewrite: Option<PathPrefix> = None, Now;
        /// Which host the upstream is asked for: client, upstream (the endpoint's own), or a name.
        upstream_host: UpstreamHost = UpstreamHost::Client, Now;
        /// How long an upstream may take to answer, from the end of the request: pool, as the client's
        /// pool has it.
        request_timeout: RouteTimeout = RouteTimeout::Pool, Now;
        /// The largest body of a request, beside that of the client's pool.
        max_body_size: Option<ByteSize> = None, Now;
        /// How often a request is sent again, to another endpoint if there is one.
        retries: Retries = Retries(1), Now;
        /// Which requests are: unsent, of which no endpoint has seen anything; or idempotent, those too
        /// that may be repeated (RFC 9110 9.2.2) and have no body.
        retry: Again = Again::Unsent, Now;
        /// How long the answer to a safe request without a body (GET, HEAD, OPTIONS) may take before another endpoint is
        /// asked too, and the first good answer taken. Off: no other is.
        hedge_after: Option<Duration> = None, Now;
    }
}

/// The beginning of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPrefix(String);

impl Setting for PathPrefix {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let text = value.as_text().filter(|text| is_path(text));
        text.map(|text| Self(text.to_owned()))
            .ok_or_else(|| BadValue::new(value, "the beginning of a path, such as \"/v1/\""))
    }

    fn write(&self) -> Value {
        Value::text(self.0.clone())
    }
}

fn is_path(text: &str) -> bool {
    let parsed = text.parse::<http::uri::PathAndQuery>();
    text.starts_with('/') && parsed.is_ok_and(|it| it.path() == text)
}

/// Which host an upstream is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamHost {
    /// That of the client's request.
    Client,
    /// The endpoint's own.
    Endpoint,
    /// Always this one.
    Named(HeaderValue),
}

impl Setting for UpstreamHost {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let named = |text: &str| {
            let authority = text.parse::<http::uri::Authority>().ok()?;
            let plain = !authority.as_str().contains('@');
            plain.then(|| HeaderValue::from_str(text).ok())?
        };
        match value.as_text() {
            Some("client") => Ok(Self::Client),
            Some("upstream") => Ok(Self::Endpoint),
            text => text.and_then(named).map(Self::Named).ok_or_else(|| {
                BadValue::new(
                    value,
                    "\"client\", \"upstream\" or a host such as \"api.internal\"",
                )
            }),
        }
    }

    fn write(&self) -> Value {
        match self {
            Self::Client => Value::text("client"),
            Self::Endpoint => Value::text("upstream"),
            Self::Named(host) => Value::text(host.to_str().unwrap_or_default()),
        }
    }
}

/// How long an upstream may take to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteTimeout {
    /// As long as the client's pool lets handlers take.
    Pool,
    /// So long, or with none as long as it likes.
    Own(Option<Duration>),
}

impl Setting for RouteTimeout {
    fn read(value: &Value) -> Result<Self, BadValue> {
        if value.as_text() == Some("pool") {
            return Ok(Self::Pool);
        }
        Option::<Duration>::read(value)
            .map(Self::Own)
            .map_err(|bad| {
                let remedy = format!("{}, or \"pool\"", bad.remedy());
                BadValue::new(value, remedy)
            })
    }

    fn write(&self) -> Value {
        match self {
            Self::Pool => Value::text("pool"),
            Self::Own(limit) => limit.write(),
        }
    }
}

/// How often a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retries(pub(crate) u8);

impl Setting for Retries {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let number = value.as_integer().and_then(|n| u8::try_from(n).ok());
        number
            .filter(|n| *n <= 5)
            .map(Self)
            .ok_or_else(|| BadValue::new(value, "a number from 0 to 5"))
    }

    fn write(&self) -> Value {
        Value::Integer(i64::from(self.0))
    }
}

#[cfg(test)]
impl Forward {
    /// To an upstream of that name, with every setting as it is by default.
    pub(crate) fn to(upstream: &str) -> Self {
        Self {
            upstream: upstream.parse().unwrap(),
            settings: ForwardSettings::default(),
            rewrite: Rewrite::Keep,
            request_fields: Arc::default(),
            response_fields: Arc::default(),
        }
    }
}

/// Reads what of a route is about its upstream, also where that does not exist: all faults are told at
/// once.
pub(super) fn read_forward(
    section: &mut Section<'_>,
    upstream: Option<ListenerName>,
    report: &mut Report,
) -> Option<Forward> {
    let both = section.peek("rewrite");
    let settings = section.settings(&ForwardSettings::default(), report);
    let rewrite = match (&settings.rewrite, settings.strip_prefix) {
        (Some(PathPrefix(with)), false) => Rewrite::Replace(with.clone()),
        (None, true) => Rewrite::Replace("/".to_owned()),
        (None, false) => Rewrite::Keep,
        (Some(PathPrefix(with)), true) => {
            let at = both.map_or(section.at(), |entry| entry.at);
            let reason = "strip_prefix takes the route's path away already";
            let remedy = format!(
                "leave strip_prefix out: {:?} stands in its place",
                cut(with)
            );
            report.problem(at, section.path("rewrite"), reason, remedy);
            Rewrite::Keep
        }
    };
    let request_fields = read_changes(section, "request_headers", report);
    let response_fields = read_changes(section, "response_headers", report);
    Some(Forward {
        upstream: upstream?,
        settings,
        rewrite,
        request_fields: Arc::new(request_fields),
        response_fields: Arc::new(response_fields),
    })
}

/// Whether a key is one of routes that have an upstream.
pub(super) fn is_of_forward(key: &str) -> bool {
    let fields = ["request_headers", "response_headers"];
    fields.contains(&key) || ForwardSettings::KEYS.iter().any(|known| known.name == key)
}

/// Whether a name can be that of a field, and not one of those that wharf and its codecs write.
pub(super) fn free_name(text: &str) -> Result<HeaderName, &'static str> {
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| "is not the name of a field")?;
    if crate::gateway::is_free(&name) {
        Ok(name)
    } else {
        Err("is a field that wharf writes itself")
    }
}
