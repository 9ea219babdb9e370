//! `[[route]]`: which application answers which request.

use http::StatusCode;
use wharf_http::Protocol;
use wharf_pool::ListenerName;
use wharf_pool::config::{Setting, Value};

use super::forward::{Forward, is_of_forward, read_forward};
use super::report::{Report, cut};
use super::section::Section;
use super::written::{Entry, Shape};
use super::{ListenerConfig, Priority};

/// One route; the first that matches a request answers it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    /// Only requests of this listener.
    pub(crate) listener: Option<ListenerName>,
    /// Only requests for this host, in lower case and without a port.
    pub(crate) host: Option<String>,
    /// Only requests whose path begins with this.
    pub(crate) path: String,
    /// How important its requests are, whoever sends them.
    pub(crate) priority: Option<Priority>,
    /// What answers.
    pub(crate) target: Target,
}

/// What answers a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    /// The demo application.
    Demo,
    /// Always the same.
    Respond {
        /// The status.
        status: StatusCode,
        /// The body, as `text/plain`.
        body: String,
    },
    /// The same place by https. Requests that came by TLS are there already: the route is not for
    /// them.
    Redirect {
        /// The port of that place.
        port: u16,
    },
    /// Another server.
    Upstream(Box<Forward>),
}

/// The port that https has without one.
pub(crate) const HTTPS: u16 = 443;

/// What routes have to know of the listeners and upstreams.
#[derive(Debug)]
pub(crate) struct Doors<'a> {
    /// The names of all of them, also of those that are wrong in something else.
    pub(crate) names: &'a [ListenerName],
    /// Those that are right.
    pub(crate) listeners: &'a [ListenerConfig],
    /// The names of all upstreams, also of those that are wrong in something else.
    pub(crate) upstreams: &'a [ListenerName],
}

impl Doors<'_> {
    /// Where https is to be had: at the first listener that has it; a port that the kernel is to
    /// choose is not known to anybody.
    fn https(&self) -> u16 {
        let speaks = |it: &&ListenerConfig| {
            let has = |(protocol, _): &(Protocol, _)| *protocol == Protocol::Https;
            it.pools.iter().any(has) && it.address.port() != 0
        };
        let first = self.listeners.iter().find(speaks);
        first.map_or(HTTPS, |listener| listener.address.port())
    }

    fn is_secured(&self, name: &ListenerName) -> bool {
        let named = self.listeners.iter().find(|it| it.name == *name);
        named.is_some_and(|listener| listener.tls.is_some())
    }
}

impl Route {
    /// The route that is there if the file has none: everything goes to the demo.
    pub(crate) fn everything_to_demo() -> Self {
        Self {
            listener: None,
            host: None,
            path: "/".to_owned(),
            priority: None,
            target: Target::Demo,
        }
    }
}

/// Reads every route of a server with these listeners.
pub(crate) fn read_routes(
    sections: Vec<Section<'_>>,
    doors: &Doors<'_>,
    report: &mut Report,
) -> Vec<Route> {
    sections
        .into_iter()
        .filter_map(|section| read_route(section, doors, report))
        .collect()
}

fn read_route(mut section: Section<'_>, doors: &Doors<'_>, report: &mut Report) -> Option<Route> {
    let listener = read_listener(&mut section, doors.names, report);
    let host = read_text(&mut section, "host", report);
    let path = read_path(&mut section, report);
    let priority = read_priority(&mut section, report);
    let redirect = section.peek("redirect");
    let target = read_target(&mut section, doors, report);
    if let (Some(redirect), Some(name)) = (redirect, &listener)
        && doors.is_secured(name)
    {
        let reason = format!(
            "listener {:?} has tls: its clients are there already",
            name.as_str()
        );
        let remedy = "leave listener out: requests that came by TLS are not redirected";
        report.problem(redirect.at, section.path("redirect"), reason, remedy);
    }
    finish(section, target.as_ref(), report);
    let host = host.map(|(host, _)| host.to_ascii_lowercase());
    Some(Route {
        listener,
        host,
        path,
        priority,
        target: target?,
    })
}

fn read_priority(section: &mut Section<'_>, report: &mut Report) -> Option<Priority> {
    let entry = section.take("priority")?;
    Setting::read(&entry.value.value()).unwrap_or_else(|bad| {
        let reason = format!("{} is no priority", cut(&entry.value.value().to_string()));
        let remedy = format!("write {}", bad.remedy());
        report.problem(entry.value.at, section.path("priority"), reason, remedy);
        None
    })
}

/// Takes a text and where it is.
fn read_text<'w>(
    section: &mut Section<'w>,
    key: &'static str,
    report: &mut Report,
) -> Option<(&'w str, usize)> {
    let entry = section.take(key)?;
    if entry.value.text().is_none() {
        let reason = format!("{} is not a text", cut(&entry.value.value().to_string()));
        report.problem(
            entry.value.at,
            section.path(key),
            reason,
            "write it in quotation marks",
        );
    }
    entry.value.text().map(|text| (text, entry.value.at))
}

fn read_listener(
    section: &mut Section<'_>,
    listeners: &[ListenerName],
    report: &mut Report,
) -> Option<ListenerName> {
    let (name, at) = read_text(section, "listener", report)?;
    let found = listeners
        .iter()
        .find(|listener| listener.as_str() == name)
        .cloned();
    if found.is_none() {
        let names: Vec<_> = listeners.iter().map(ListenerName::as_str).collect();
        let reason = format!("there is no listener {:?}", cut(name));
        let remedy = format!("write one of {}", names.join(", "));
        report.problem(at, section.path("listener"), reason, remedy);
    }
    found
}

fn read_path(section: &mut Section<'_>, report: &mut Report) -> String {
    let Some((path, at)) = read_text(section, "path", report) else {
        return "/".to_owned();
    };
    if !path.starts_with('/') {
        let reason = format!("{:?} is not the beginning of a path", cut(path));
        report.problem(at, section.path("path"), reason, "begin it with a slash");
    }
    path.to_owned()
}

fn read_target(
    section: &mut Section<'_>,
    doors: &Doors<'_>,
    report: &mut Report,
) -> Option<Target> {
    const REMEDY: &str = "write upstream = \"…\", app = \"demo\", respond = { status = 200, body = \"ok\" }, \
                          or redirect = \"https\"";
    let given = ["app", "respond", "redirect", "upstream"].map(|key| section.take(key));
    match given {
        [Some(app), None, None, None] => read_app(app, section, report),
        [None, Some(respond), None, None] => {
            read_respond(respond, &section.path("respond"), report)
        }
        [None, None, Some(redirect), None] => read_redirect(redirect, section, doors, report),
        [None, None, None, Some(upstream)] => read_upstream(upstream, section, doors, report),
        [None, None, None, None] => {
            let (at, path) = (section.at(), section.path("app"));
            report.problem(at, path, "nothing answers this route", REMEDY);
            None
        }
        several => {
            // The last of them: it is the one that is too many.
            let last = several.into_iter().flatten().max_by_key(|entry| entry.at)?;
            let path = section.path(&last.key);
            report.problem(
                last.at,
                path,
                "something else answers this route already",
                REMEDY,
            );
            None
        }
    }
}

fn read_upstream(
    upstream: &Entry,
    section: &mut Section<'_>,
    doors: &Doors<'_>,
    report: &mut Report,
) -> Option<Target> {
    let text = upstream.value.text();
    let found = doors.upstreams.iter().find(|it| Some(it.as_str()) == text);
    if found.is_none() {
        let written = cut(&upstream.value.value().to_string());
        let names: Vec<_> = doors.upstreams.iter().map(ListenerName::as_str).collect();
        let remedy = if names.is_empty() {
            let name = text.and_then(|text| ListenerName::new(text).ok());
            let name = name.as_ref().map_or("api", ListenerName::as_str);
            format!("write [[upstream]] with name = {name:?} and endpoints")
        } else {
            format!("write one of {}", names.join(", "))
        };
        let reason = format!("there is no upstream {written}");
        report.problem(upstream.value.at, section.path("upstream"), reason, remedy);
    }
    let forward = read_forward(section, found.cloned(), report)?;
    Some(Target::Upstream(Box::new(forward)))
}

/// What is left over may belong to routes of another kind.
fn finish(section: Section<'_>, target: Option<&Target>, report: &mut Report) {
    if let Some(Target::Upstream(_)) = target {
        return section.finish(report);
    }
    section.finish_beside(report, |key| {
        is_of_forward(key).then(|| "the keys of routes with an upstream".to_owned())
    });
}

fn read_redirect(
    redirect: &Entry,
    section: &Section<'_>,
    doors: &Doors<'_>,
    report: &mut Report,
) -> Option<Target> {
    let port = match redirect.value.text().map(|text| text.split_once(':')) {
        Some(None) if redirect.value.text() == Some("https") => Some(doors.https()),
        Some(Some(("https", port))) => port.parse().ok().filter(|port| *port != 0),
        _ => None,
    };
    if port.is_none() {
        let found = redirect.value.value().to_string();
        let reason = format!("{} is no place to redirect to", cut(&found));
        let remedy = "write redirect = \"https\", or \"https:8443\" for another port";
        report.problem(redirect.value.at, section.path("redirect"), reason, remedy);
    }
    port.map(|port| Target::Redirect { port })
}

fn read_app(app: &Entry, section: &Section<'_>, report: &mut Report) -> Option<Target> {
    if app.value.text() == Some("demo") {
        return Some(Target::Demo);
    }
    let reason = format!(
        "{} is not an application",
        cut(&app.value.value().to_string())
    );
    report.problem(
        app.value.at,
        section.path("app"),
        reason,
        "write app = \"demo\"",
    );
    None
}

fn read_respond(respond: &Entry, path: &str, report: &mut Report) -> Option<Target> {
    let mut section = Section::open(&respond.value, path, report)?;
    let status = section
        .take("status")
        .map_or(Some(StatusCode::OK), |entry| {
            let status = status_of(&entry.value.shape);
            if status.is_none() {
                let reason = format!("{} is not a status", cut(&entry.value.value().to_string()));
                report.problem(
                    entry.value.at,
                    section.path("status"),
                    reason,
                    "write 200 to 599",
                );
            }
            status
        });
    let body = read_text(&mut section, "body", report)
        .map_or("", |(body, _)| body)
        .to_owned();
    section.finish(report);
    Some(Target::Respond {
        status: status?,
        body,
    })
}

/// A final status: 1xx is not an answer.
fn status_of(written: &Shape) -> Option<StatusCode> {
    let Shape::Scalar(Value::Integer(code @ 200..=599)) = written else {
        return None;
    };
    u16::try_from(*code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
}
