//! `[otel]`: where traces and figures are sent (OpenTelemetry).

use std::fmt;
use std::path::Path;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use wharf_pool::config::{Applies, BadValue, Count, Key, Setting, Value};
use wharf_pool::settings;
use wharf_upstream::{EndpointAddress, Scheme};

use super::report::Report;
use super::section::Section;
use super::upstream_tls::{UpstreamTls, read_tls};
use super::word::FilePath;
use crate::otel;

settings! {
    /// `[otel]`: where traces and figures are sent.
    pub struct OtelSettings, OtelPatch {
        /// The collector; without one nothing is sent, and no request is followed.
        endpoint: Option<Collector> = None, Now;
        /// What is spoken to it: OTLP over HTTP in binary form, or over gRPC.
        protocol: OtelProtocol = OtelProtocol::Http, Now;
        /// A file with a field for each request to it in each line, name: value; or env:NAME.
        headers_file: Option<FilePath> = None, Now;
        /// What this service is called there.
        service_name: ServiceName = ServiceName("wharf".to_owned()), Now;
        /// What is sent.
        signals: Signals = Signals(vec![Signal::Traces, Signal::Metrics]), Now;
        /// How many traces are recorded of those that begin here; a caller's decision is obeyed.
        sample: Share = Share::ALL, Now;
        /// How often figures are sent.
        interval: Duration = Duration::from_mins(1), Now;
        /// How long one delivery may take.
        timeout: Duration = Duration::from_secs(10), Now;
        /// How many spans may wait to be sent; others are dropped, and counted.
        queue: Count = QUEUE, Now;
    }
}

const QUEUE: Count = match Count::new(2048) {
    Some(count) => count,
    // Evaluated by the compiler.
    None => unreachable!(),
};

/// `tls` of the section.
pub(super) const TLS: Key = Key::new("tls", Applies::Now, "How TLS is spoken to the collector.");

/// The section, with the files that it names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OtelConfig {
    /// Its settings.
    pub(crate) settings: OtelSettings,
    /// The fields of the file; a secret may be among them.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// How TLS is spoken to the collector.
    pub(crate) tls: Option<UpstreamTls>,
}

impl OtelConfig {
    /// Reads the section; paths in it are relative to `folder`.
    pub(super) fn read(top: &mut Section<'_>, folder: &Path, report: &mut Report) -> Self {
        let Some(entry) = top.take("otel") else {
            return Self::default();
        };
        if !otel::BUILT_IN {
            let reason = "this wharf was built without OpenTelemetry";
            let remedy = "build it with cargo build --release --features otel, or leave [otel] out";
            report.problem(entry.at, "otel", reason, remedy);
            return Self::default();
        }
        let Some(mut section) = Section::open(&entry.value, "otel", report) else {
            return Self::default();
        };
        let tls_at = section.peek("tls").map(|entry| entry.at);
        let mut tls = read_tls(&mut section, folder, report);
        let settings = section.settings(&OtelSettings::default(), report);
        let headers = read_headers(&settings, &section, folder, report);
        let secured = settings
            .endpoint
            .as_ref()
            .is_some_and(Collector::is_secured);
        match tls_at {
            Some(at) if !secured => {
                let remedy = "write endpoint = \"https://…\", or leave tls out";
                report.problem(at, "otel.tls", "the endpoint is not https", remedy);
            }
            None if secured => {
                let of_system = UpstreamTls::of_system();
                let remedy = "write tls = { ca = \"ca.crt\" }";
                tls = of_system
                    .map_err(|why| report.problem(entry.at, "otel.tls", why, remedy))
                    .ok();
            }
            Some(_) | None => {}
        }
        section.finish(report);
        Self {
            settings,
            headers,
            tls,
        }
    }
}

fn read_headers(
    settings: &OtelSettings,
    section: &Section<'_>,
    folder: &Path,
    report: &mut Report,
) -> Vec<(HeaderName, HeaderValue)> {
    let Some(file) = &settings.headers_file else {
        return Vec::new();
    };
    let path = section.path("headers_file");
    let at = report.accepted(&path).unwrap_or(section.at());
    let name = file.0.display().to_string();
    let read = report.read_secret(folder, &name);
    read.and_then(|content| headers_of(&content))
        .unwrap_or_else(|why| {
            let remedy = "write the path of a file with a line such as authorization: Bearer …";
            report.problem(at, path, format!("{name}: {why}"), remedy);
            Vec::new()
        })
}

/// Fields, one in each line; what is wrong is told without what is in it.
fn headers_of(content: &[u8]) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let text = str::from_utf8(content).map_err(|_| "this is not text")?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::try_from(name.trim()).ok()?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    lines
        .map(|(n, line)| field(line).ok_or_else(|| format!("line {} is not a field", n + 1)))
        .collect()
}

/// Where a collector is: an endpoint, and the path below which it takes what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collector {
    /// Where it is, `http` or `https`.
    pub(crate) address: EndpointAddress,
    /// Nothing, or begins with a slash and does not end with one.
    pub(crate) path: String,
}

impl Collector {
    fn is_secured(&self) -> bool {
        self.address.scheme() == Scheme::Https
    }
}

impl Setting for Collector {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let parse = |text: &str| {
            let (scheme, rest) = text.split_once("://")?;
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let address: EndpointAddress = format!("{scheme}://{host}").parse().ok()?;
            let path = path.trim_end_matches('/').to_owned();
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
            let known = address.scheme() != Scheme::H2c && path.bytes().all(is_plain);
            known.then_some(Self { address, path })
        };
        let remedy = "\"http://127.0.0.1:4318\", \"https://otel.example:4317\" or \"off\"";
        let found = value.as_text().and_then(parse);
        found.ok_or_else(|| BadValue::new(value, remedy))
    }

    fn write(&self) -> Value {
        Value::text(self.to_string())
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.address, self.path)
    }
}

super::word::words! {
    /// What is spoken to a collector.
    OtelProtocol {
        /// OTLP over HTTP, in binary form.
        Http = "http",
        /// OTLP over gRPC.
        Grpc = "grpc",
    } "\"http\" or \"grpc\""
}

/// The name of a service, as people have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceName(pub(crate) String);

impl Setting for ServiceName {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let fits =
            |name: &&str| (1..=255).contains(&name.len()) && !name.contains(char::is_control);
        let name = value.as_text().filter(fits);
        let name = name.map(|name| Self(name.to_owned()));
        name.ok_or_else(|| BadValue::new(value, "a name of 1 to 255 characters"))
    }

    fn write(&self) -> Value {
        Value::text(self.0.clone())
    }
}

super::word::words! {
    /// What is sent to a collector.
    Signal {
        /// Spans of requests.
        Traces = "traces",
        /// The figures of `/metrics`.
        Metrics = "metrics",
    } "\"traces\" or \"metrics\""
}

/// Which of them are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signals(pub(crate) Vec<Signal>);

impl Setting for Signals {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let bad = || BadValue::new(value, "[\"traces\", \"metrics\"], or one of them");
        let Value::List(items) = value else {
            return Err(bad());
        };
        let signals = items
            .iter()
            .map(|item| Signal::read(item).map_err(|_| bad()));
        signals.collect::<Result<_, _>>().map(Self)
    }

    fn write(&self) -> Value {
        Value::List(self.0.iter().map(Setting::write).collect())
    }
}

/// A share of all, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(pub(crate) u32);

impl Share {
    /// Everything.
    pub(crate) const ALL: Self = Self(Self::WHOLE);

    /// How many millionths everything has.
    pub(crate) const WHOLE: u32 = 1_000_000;
}

impl Setting for Share {
    fn read(value: &Value) -> Result<Self, BadValue> {
        let parse = |text: &str| {
            let text = text.strip_suffix('%')?;
            let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
            let digits = |text: &str, most: usize| {
                let fits = (1..=most).contains(&text.len());
                fits && text.bytes().all(|b| b.is_ascii_digit())
            };
            if !digits(whole, 3) || !digits(part, 4) {
                return None;
            }
            let share = format!("{whole}{part:0<4}").parse().ok()?;
            (share <= Self::WHOLE).then_some(Self(share))
        };
        let share = value.as_text().and_then(parse);
        share.ok_or_else(|| BadValue::new(value, "a share such as \"100%\", \"5%\" or \"0.1%\""))
    }

    fn write(&self) -> Value {
        let (whole, part) = (self.0 / 10_000, self.0 % 10_000);
        let text = format!("{whole}.{part:04}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        Value::text(format!("{text}%"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "otel"))]
    #[test]
    fn a_build_without_it_says_how_to_have_it() {
        let problems = crate::config::Config::parse("[otel]\n", Path::new(".")).unwrap_err();
        let told = problems.list.iter().find(|it| it.key == "otel").unwrap();
        assert!(told.remedy.contains("--features otel"));
    }

    #[test]
    fn a_share_is_written_as_it_is_read() {
        for (text, parts) in [
            ("100%", 1_000_000),
            ("5%", 50_000),
            ("0.1%", 1_000),
            ("0.0001%", 1),
            ("0%", 0),
            ("12.5%", 125_000),
        ] {
            let share = Share::read(&Value::text(text)).unwrap();
            assert_eq!((share.0, share.write()), (parts, Value::text(text)));
        }
        for wrong in [
            "", "%", "5", "101%", "100.1%", "-1%", "1.%", ".5%", "0.00001%", "1e2%",
        ] {
            assert!(Share::read(&Value::text(wrong)).is_err(), "{wrong}");
        }
        assert!(Share::read(&Value::Integer(1)).is_err());
    }

    #[test]
    fn a_collector_is_an_address_and_perhaps_a_path() {
        let read = |text: &str| Collector::read(&Value::text(text));
        let here = read("http://127.0.0.1:4318").unwrap();
        assert_eq!(
            (here.to_string().as_str(), here.path.as_str()),
            ("http://127.0.0.1:4318", "")
        );
        let far = read("https://otlp.example/otlp/").unwrap();
        assert_eq!((far.path.as_str(), far.is_secured()), ("/otlp", true));
        for wrong in [
            "",
            "127.0.0.1:4318",
            "h2c://a:1",
            "http://",
            "http://a/b?c",
            "http://a/b c",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_are_lines_and_what_is_wrong_shows_nothing_of_them() {
        let read =
            headers_of(b"# a comment\n\nx-team: blue\nauthorization: Bearer s3cret\n").unwrap();
        assert_eq!(read.len(), 2);
        assert!(read[1].1 == "Bearer s3cret" && !format!("{read:?}").contains("s3cret"));
        for wrong in ["s3cret", "a b: s3cret", "x: s3\u{1}cret"] {
            let why = headers_of(wrong.as_bytes()).unwrap_err();
            assert_eq!(why, "line 1 is not a field");
        }
    }
}
