//! The first line: how the server is, and why.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::{BAD, SOFT, STRONG, of_status};
use crate::top::feed::Figures;
use crate::top::figures::{list, number, text};
use crate::top::words::time;

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, figures: &Figures, fault: Option<&str>) {
    let health = &figures.health;
    let up = time(number(health, "/uptime_ms"));
    let facts = format!("up {up} · {}", text(health, "/version"));
    let width = u16::try_from(facts.chars().count()).unwrap_or(u16::MAX);
    let row = Rect { height: 1, ..area };
    let [left, right] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(width)]).areas(row);
    let mut line = Line::from(Span::styled("wharf  ", STRONG));
    if let Some(fault) = fault {
        line.push_span(Span::styled(format!("no answer: {fault}"), BAD));
    } else {
        let (word, why) = status(figures);
        line.push_span(Span::styled(format!("● {word}"), of_status(word)));
        line.push_span(Span::styled(format!("  {why}"), SOFT));
    }
    frame.render_widget(line, left);
    frame.render_widget(Line::styled(facts, SOFT), right);
}

/// The status in a word, and its cause.
fn status(figures: &Figures) -> (&str, String) {
    let health = &figures.health;
    if text(health, "/state") == "draining" {
        return ("draining", "the process ends when it is done".to_owned());
    }
    let status = text(health, "/status");
    let pools = list(health, "/pools");
    let cause = pools.iter().find(|pool| text(pool, "/status") == status);
    let cause = cause.map_or("", |pool| text(pool, "/message"));
    let of = pools.iter().find(|pool| text(pool, "/status") == status);
    // The message begins with the status, which stands there already.
    let why = cause.strip_prefix(status).map_or(cause, str::trim_start);
    match of {
        Some(pool) if status != "healthy" => (status, format!("{why} in {}", text(pool, "/name"))),
        _ => (status, why.to_owned()),
    }
}
