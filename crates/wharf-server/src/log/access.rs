//! [`AccessLog`]: one line for each request.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use wharf_http::{RequestObserver, RequestRecord};

use super::line::{Escaped, JsonLine, Style};
use super::look::Look;
use super::sink::Sink;

/// Writes a line for each request.
#[derive(Debug)]
pub(crate) struct AccessLog {
    sink: Sink,
    look: Arc<Look>,
}

impl AccessLog {
    /// Lines that look so, to `sink`.
    pub(super) fn new(sink: Sink, look: Arc<Look>) -> Self {
        Self { sink, look }
    }
}

impl RequestObserver for AccessLog {
    fn observe(&self, record: &RequestRecord<'_>) {
        let line = match self.look.of_requests() {
            Style::Json => json(record),
            Style::Plain => pretty(record, ["", ""]),
            Style::Colour => pretty(record, [colour(record), "\x1b[0m"]),
        };
        self.sink.put(line.as_bytes());
    }

    fn is_listening(&self) -> bool {
        self.look.with_requests()
    }
}

fn json(record: &RequestRecord<'_>) -> String {
    let mut line = JsonLine::begin();
    line.text("connection", record.connection);
    line.text("peer", record.peer);
    line.text("listener", record.pool.listener());
    line.text("protocol", record.pool.protocol());
    line.text("method", record.method);
    line.text("target", record.target);
    line.text("version", format_args!("{:?}", record.version));
    match record.status {
        Some(status) => line.bare("status", status.as_u16()),
        None => line.bare("status", "null"),
    }
    line.text("outcome", record.outcome.as_str());
    line.bare("bytes_sent", record.bytes_sent);
    line.bare("duration_ms", format_args!("{:.3}", milliseconds(record)));
    match user_agent(record) {
        Some(agent) => line.text("user_agent", agent),
        None => line.bare("user_agent", "null"),
    }
    line.end()
}

fn pretty(record: &RequestRecord<'_>, [on, off]: [&str; 2]) -> String {
    let status = record
        .status
        .map_or("-".into(), |status| Cow::from(status.as_str().to_owned()));
    let mut line = format!(
        "{} {on}{status}{off} {} ",
        crate::wall_clock::now(),
        record.method
    );
    // Writing to a string does not fail.
    let _ = write!(Escaped::into(&mut line), "{}", record.target);
    let _ = write!(
        line,
        "  {:.1} ms  {} B  {}  {}",
        milliseconds(record),
        record.bytes_sent,
        record.pool,
        record.peer
    );
    line.push('\n');
    line
}

fn colour(record: &RequestRecord<'_>) -> &'static str {
    match record.status.map_or(5, |status| status.as_u16() / 100) {
        2 => "\x1b[32m",
        3 => "\x1b[36m",
        4 => "\x1b[33m",
        _ => "\x1b[31m",
    }
}

fn milliseconds(record: &RequestRecord<'_>) -> f64 {
    record.duration.as_secs_f64() * 1e3
}

fn user_agent<'a>(record: &RequestRecord<'a>) -> Option<Cow<'a, str>> {
    record
        .user_agent
        .map(|agent| String::from_utf8_lossy(agent.as_bytes()))
}
