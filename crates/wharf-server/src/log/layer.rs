//! [`LineLayer`]: what is traced, as lines.

use std::fmt::{self, Debug, Display, Write};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::line::{Escaped, JsonLine, Style};
use super::look::Look;
use super::sink::Sink;

/// Writes each event that is traced as a line. Spans are not shown.
#[derive(Debug)]
pub(crate) struct LineLayer {
    sink: Sink,
    look: Arc<Look>,
}

impl LineLayer {
    /// Lines that look so, to `sink`.
    pub(super) fn new(sink: Sink, look: Arc<Look>) -> Self {
        Self { sink, look }
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::INFO && !event.metadata().target().starts_with("wharf") {
            // What libraries say of every frame would drown what we say of connections.
            return;
        }
        let line = match self.look.of_messages() {
            Style::Json => json(event, level),
            Style::Plain => pretty(event, level.as_str()),
            Style::Colour => pretty(event, &coloured(level)),
        };
        self.sink.put(line.as_bytes());
    }
}

fn json(event: &Event<'_>, level: Level) -> String {
    let mut line = JsonLine::begin();
    line.text("level", level.as_str().to_ascii_lowercase());
    line.text("target", event.metadata().target());
    event.record(&mut JsonFields(&mut line));
    line.end()
}

fn pretty(event: &Event<'_>, level: &str) -> String {
    let mut fields = PrettyFields::default();
    event.record(&mut fields);
    let PrettyFields { message, rest } = fields;
    format!("{} {level:<5} {message}{rest}\n", crate::wall_clock::now())
}

fn coloured(level: Level) -> String {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 34,
    };
    format!("\x1b[{colour}m{:<5}\x1b[0m", level.as_str())
}

struct JsonFields<'a>(&'a mut JsonLine);

impl Visit for JsonFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.text(field.name(), Shown(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.bare(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.bare(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.bare(field.name(), value);
    }
}

#[derive(Default)]
struct PrettyFields {
    message: String,
    rest: String,
}

impl Visit for PrettyFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        if field.name() == "message" {
            let _ = write!(Escaped::into(&mut self.message), "{value:?}");
        } else {
            let _ = write!(self.rest, "  {}=", field.name());
            let _ = write!(Escaped::into(&mut self.rest), "{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// Shows by `Debug`, which for messages and `%` fields is `Display`.
struct Shown<'a>(&'a dyn Debug);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
