//! What happens, the newest first.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{List, ListItem};
use serde_json::Value;

use super::{SOFT, WARN, titled, within};
use crate::top::figures::{list, number, text};
use crate::top::sight::Sight;
use crate::top::view::{Pane, View};
use crate::top::words::{plain, time};

/// Draws them, each with how long ago it was.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, sight: &Sight, view: &mut View) {
    let note = format!("the last {}", sight.events.len());
    let area = titled(frame, area, (Pane::Events, view), ("Events", note));
    let first = within(&mut view.events, sight.events.len(), area.height);
    if sight.events.is_empty() {
        frame.render_widget(
            Line::styled("nothing has happened that should be told", SOFT),
            area,
        );
        return;
    }
    let now = sight
        .figures
        .as_ref()
        .map_or(0.0, |figures| number(&figures.health, "/uptime_ms"));
    let shown = sight
        .events
        .iter()
        .skip(first)
        .take(usize::from(area.height));
    frame.render_widget(List::new(shown.map(|event| item(event, now))), area);
}

fn item(event: &Value, now: f64) -> ListItem<'static> {
    let kind = text(event, "/event");
    let grave = [
        "connection_timeout",
        "connection_error",
        "pool_limit_reached",
        "gap",
    ]
    .contains(&kind);
    let ago = event["at_ms"]
        .as_f64()
        .map_or_else(String::new, |at| time((now - at).max(0.0)));
    ListItem::new(Line::from_iter([
        Span::styled(format!("{ago:>12}  "), SOFT),
        Span::styled(
            format!("{:<22}", plain(kind)),
            if grave { WARN } else { Style::new() },
        ),
        Span::styled(format!("{:<17}", plain(text(event, "/pool"))), SOFT),
        Span::raw(plain(&sentence(event))),
    ]))
}

/// What every event has, and what stands elsewhere in its line.
const KNOWN: [&str; 6] = ["id", "event", "at_ms", "pool", "connection", "diff"];

/// What is its own, in the order that it is told.
fn sentence(event: &Value) -> String {
    let changes = list(event, "/diff").iter().map(|change| {
        format!(
            "{} {} → {}",
            text(change, "/key"),
            bare(&change["old"]),
            bare(&change["new"])
        )
    });
    let changes: Vec<_> = changes.collect();
    if !changes.is_empty() {
        return changes.join(", ");
    }
    let own = event.as_object().into_iter().flatten();
    let own = own.filter(|(key, _)| !KNOWN.contains(&key.as_str()));
    let words = own.map(|(key, value)| match key.as_str() {
        "age_ms" => format!("age {}", time(value.as_f64().unwrap_or(0.0))),
        _ => format!("{key} {}", bare(value)),
    });
    words.collect::<Vec<_>>().join("  ")
}

/// A value without quotation marks.
fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
