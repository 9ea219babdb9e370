//! Who is connected, as the server sorts them.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};
use serde_json::Value;

use super::{ACCENT, BAD, SOFT, WARN, titled, within};
use crate::top::feed::Figures;
use crate::top::figures::{count, list, number, text};
use crate::top::view::{Pane, SORTS, View};
use crate::top::words::{self, bytes, plain, time};

const WIDTHS: [Constraint; 10] = [
    Constraint::Length(23),
    Constraint::Length(16),
    Constraint::Length(9),
    Constraint::Length(11),
    Constraint::Length(11),
    Constraint::Length(9),
    Constraint::Length(6),
    Constraint::Length(9),
    Constraint::Length(9),
    Constraint::Min(10),
];

/// Draws them.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, figures: &Figures, view: &mut View) {
    let all = list(&figures.connections, "/connections");
    let total = words::count(count(&figures.connections, "/total"));
    let by = SORTS
        .iter()
        .find(|(query, _)| *query == view.wanted.sort)
        .map_or("", |(_, name)| name);
    let note = format!("{total}, most {by} first");
    let area = titled(
        frame,
        area,
        (Pane::Connections, view),
        ("Connections", note),
    );
    let room = area.height.saturating_sub(2);
    let first = within(&mut view.connections, all.len(), room);
    if all.is_empty() {
        frame.render_widget(Line::styled("nobody is connected", SOFT), area);
        return;
    }
    let names = [
        "peer", "pool", "state", "age", "idle", "requests", "now", "received", "sent", "client",
    ];
    let names = names.into_iter().enumerate().map(|(at, name)| {
        let line = Line::styled(name, SOFT);
        Cell::from(if (3..9).contains(&at) {
            line.right_aligned()
        } else {
            line
        })
    });
    let rows = all.iter().skip(first).take(usize::from(room)).map(row);
    frame.render_widget(
        Table::new(rows, WIDTHS)
            .header(Row::new(names))
            .column_spacing(1),
        area,
    );
}

fn row(connection: &Value) -> Row<'static> {
    let right = |text: String| Cell::from(Line::from(text).right_aligned());
    let in_flight = count(connection, "/in_flight");
    let idle = if in_flight > 0 {
        "–".to_owned()
    } else {
        time(number(connection, "/idle_ms"))
    };
    let state = text(connection, "/state").to_owned();
    let style = match state.as_str() {
        _ if connection["healthy"] == false => BAD,
        "active" => ACCENT,
        "closing" => WARN,
        _ => SOFT,
    };
    let pool = connection["pool"]
        .as_str()
        .unwrap_or_else(|| text(connection, "/listener"));
    Row::new([
        Cell::from(plain(text(connection, "/peer"))),
        Cell::from(plain(pool)),
        Cell::from(Line::styled(state, style)),
        right(time(number(connection, "/age_ms"))),
        right(idle),
        right(words::count(count(connection, "/requests"))),
        right(words::count(in_flight)),
        right(bytes(number(connection, "/bytes_received"))),
        right(bytes(number(connection, "/bytes_sent"))),
        Cell::from(plain(text(connection, "/user_agent"))).style(Style::new().patch(SOFT)),
    ])
}
