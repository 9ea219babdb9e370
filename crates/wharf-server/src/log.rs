//! Logs: lines on standard error for what happens, lines on standard output for each request.
//!
//! Whatever writes a line only puts it into a bounded queue ([`sink::Sink`]); one thread for each
//! stream writes. A stream that is closed, full or not read costs lines, which are counted, and
//! nothing else. Everything that a peer sent goes through [`mod@line`], which escapes and cuts it.

mod access;
mod closes;
mod layer;
mod line;
mod look;
mod sink;

pub(crate) use closes::tell_closes;
use line::Style;
pub(crate) use line::{Escaped, is_unsafe};

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use wharf_http::RequestObserver;

use crate::config::LogSettings;
use access::AccessLog;
use layer::LineLayer;
use look::Look;
use sink::Sink;

/// How long the last lines may take to be written when the process ends.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The streams of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    messages: Sink,
    access: Sink,
    look: Arc<Look>,
    level: reload::Handle<LevelFilter, Registry>,
}

impl Logs {
    /// Opens the streams and sends everything that is traced, and every panic, to them.
    pub(crate) fn open(settings: &LogSettings) -> Self {
        let messages = Sink::start("log", copy_of(&io::stderr()));
        let access = Sink::start("access-log", copy_of(&io::stdout()));
        let look = Arc::new(Look::new(settings));
        let (filter, level) = reload::Layer::new(settings.level.filter());
        let layer = LineLayer::new(messages.clone(), Arc::clone(&look));
        let subscriber = tracing_subscriber::registry().with(filter).with(layer);
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
        Self {
            messages,
            access,
            look,
            level,
        }
    }

    /// Writes as `settings` say from now on.
    pub(crate) fn set(&self, settings: &LogSettings) {
        self.look.set(settings);
        // There is no subscriber to fail in a process that has another one.
        self.level.reload(settings.level.filter()).ok();
    }

    /// Who writes the access log, while there is to be one.
    pub(crate) fn access(&self) -> Arc<dyn RequestObserver> {
        Arc::new(AccessLog::new(self.access.clone(), Arc::clone(&self.look)))
    }

    /// Lines that were lost because their stream did not take them: messages, access.
    pub(crate) fn dropped(&self) -> [(&'static str, u64); 2] {
        let (messages, access) = (self.messages.dropped(), self.access.dropped());
        [("messages", messages), ("access", access)]
    }

    /// Whether somebody watches the messages on a terminal.
    pub(crate) fn is_watched(&self) -> bool {
        self.look.of_messages() == Style::Colour
    }

    /// Keeps `text` below the last line, if it is a terminal that shows them.
    pub(crate) fn note(&self, text: Option<String>) {
        if self.look.of_requests() == Style::Colour {
            // Its lines go over the note of the other: each takes it off first.
            self.access.note(text.as_ref().map(|_| String::new()));
        }
        if self.is_watched() {
            self.messages.note(text);
        }
    }

    /// Waits until the last lines are written, for a second at most.
    pub(crate) fn flush(&self) {
        self.note(None);
        self.access.flush(LAST_LINES);
        self.messages.flush(LAST_LINES);
    }
}

/// A descriptor of our own for a standard stream: no lock and no buffer shared with anybody.
fn copy_of(stream: &impl AsFd) -> Box<dyn Write + Send> {
    match stream.as_fd().try_clone_to_owned() {
        Ok(copy) => Box::new(File::from(copy)),
        Err(_) => Box::new(io::sink()),
    }
}
