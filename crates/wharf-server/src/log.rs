//! Logs: lines on standard error for what happens, lines on standard output for each request.
//!
//! Whatever writes a line only puts it into a bounded queue ([`sink::Sink`]); one thread for each
//! stream writes. A stream that is closed, full or not read costs lines, which are counted, and
//! nothing else. Everything that a peer sent goes through [`mod@line`], which escapes and cuts it.

mod access;
mod closes;
mod layer;
mod line;
mod sink;

pub(crate) use closes::tell_closes;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt;
use wharf_http::RequestObserver;

use crate::config::{LogFormat, LogSettings};
use access::AccessLog;
use layer::LineLayer;
use line::Style;
use sink::Sink;

/// How long the last lines may take to be written when the process ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The streams of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    messages: Sink,
    access: Option<(Sink, Style)>,
}

impl Logs {
    /// Opens the streams and sends everything that is traced, and every panic, to them.
    pub(crate) fn open(settings: &LogSettings) -> Self {
        let messages = Sink::start("log", copy_of(&io::stderr()));
        let style = style(settings.format, io::stderr().is_terminal());
        let access = settings.access.then(|| {
            let style = crate::log::style(settings.format, io::stdout().is_terminal());
            (Sink::start("access-log", copy_of(&io::stdout())), style)
        });
        let layer = LineLayer::new(messages.clone(), style);
        let subscriber = tracing_subscriber::registry()
            .with(settings.level.filter())
            .with(layer);
        // Only a second call in one process could fail; the first one's lines go on then.
        let _ = tracing::subscriber::set_global_default(subscriber);
        std::panic::set_hook(Box::new(|panic| {
            let location = panic
                .location()
                .map(ToString::to_string)
                .unwrap_or_default();
            let what = panic.payload_as_str().unwrap_or("no message");
            tracing::error!(location, what, "panic");
        }));
        Self { messages, access }
    }

    /// Who writes the access log, if there is one.
    pub(crate) fn access(&self) -> Option<Arc<dyn RequestObserver>> {
        let (sink, style) = self.access.clone()?;
        Some(Arc::new(AccessLog::new(sink, style)))
    }

    /// Lines that were lost because their stream did not take them: messages, access.
    pub(crate) fn dropped(&self) -> [(&'static str, u64); 2] {
        let access = self.access.as_ref().map_or(0, |(sink, _)| sink.dropped());
        [("messages", self.messages.dropped()), ("access", access)]
    }

    /// Waits until the last lines are written, for a second at most.
    pub(crate) fn flush(&self) {
        if let Some((sink, _)) = &self.access {
            sink.flush(LAST_LINES);
        }
        self.messages.flush(LAST_LINES);
    }
}

fn style(format: LogFormat, is_terminal: bool) -> Style {
    match (format, is_terminal) {
        (LogFormat::Json, _) | (LogFormat::Auto, false) => Style::Json,
        (LogFormat::Pretty, false) => Style::Plain,
        (LogFormat::Auto | LogFormat::Pretty, true) => Style::Colour,
    }
}

/// A descriptor of our own for a standard stream: no lock and no buffer shared with anybody.
fn copy_of(stream: &impl AsFd) -> Box<dyn Write + Send> {
    match stream.as_fd().try_clone_to_owned() {
        Ok(copy) => Box::new(File::from(copy)),
        Err(_) => Box::new(io::sink()),
    }
}
