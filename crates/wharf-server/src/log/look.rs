//! [`Look`]: how lines look, and whether there are any for requests.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::line::Style;
use crate::config::{LogFormat, LogSettings};

/// How lines look, while they are written: a change holds from the next line on.
#[derive(Debug)]
pub(super) struct Look {
    messages: AtomicU8,
    requests: AtomicU8,
    with_requests: AtomicBool,
}

impl Look {
    /// As `settings` say.
    pub(super) fn new(settings: &LogSettings) -> Self {
        let look = Self {
            messages: AtomicU8::new(0),
            requests: AtomicU8::new(0),
            with_requests: AtomicBool::new(false),
        };
        look.set(settings);
        look
    }

    /// From now on as `settings` say.
    pub(super) fn set(&self, settings: &LogSettings) {
        let messages = style(settings.format, io::stderr().is_terminal());
        let requests = style(settings.format, io::stdout().is_terminal());
        self.messages.store(messages as u8, Ordering::Relaxed);
        self.requests.store(requests as u8, Ordering::Relaxed);
        self.with_requests.store(settings.access, Ordering::Relaxed);
    }

    /// Of lines about what happens.
    pub(super) fn of_messages(&self) -> Style {
        Style::ALL[usize::from(self.messages.load(Ordering::Relaxed))]
    }

    /// Of lines about requests.
    pub(super) fn of_requests(&self) -> Style {
        Style::ALL[usize::from(self.requests.load(Ordering::Relaxed))]
    }

    /// Whether requests have lines.
    pub(super) fn with_requests(&self) -> bool {
        self.with_requests.load(Ordering::Relaxed)
    }
}

fn style(format: LogFormat, is_terminal: bool) -> Style {
    match (format, is_terminal) {
        (LogFormat::Json, _) | (LogFormat::Auto, false) => Style::Json,
        (LogFormat::Pretty, false) => Style::Plain,
        (LogFormat::Auto | LogFormat::Pretty, true) => Style::Colour,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_means_what_the_stream_can_show() {
        assert_eq!(style(LogFormat::Auto, true), Style::Colour);
        assert_eq!(style(LogFormat::Auto, false), Style::Json);
        assert_eq!(style(LogFormat::Pretty, false), Style::Plain);
        assert_eq!(style(LogFormat::Json, true), Style::Json);
        assert!(
            Style::ALL
                .iter()
                .enumerate()
                .all(|(n, style)| *style as usize == n)
        );
    }
}
