//! Who is connected, as the server sorts them.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::text::Line;
use serde_json::Value;

use super::{ACCENT, BAD, Column, SOFT, WARN, column, table, titled, within};
use crate::top::feed::Figures;
use crate::top::figures::{count, list, number, text};
use crate::top::view::{Pane, SORTS, View};
use crate::top::words::{self, bytes, plain, time};

const COLUMNS: [Column; 10] = [
    column("peer", 23, 0, Alignment::Left),
    column("pool", 16, 0, Alignment::Left),
    column("state", 9, 0, Alignment::Left),
    column("age", 11, 70, Alignment::Right),
    column("idle", 11, 110, Alignment::Right),
    column("requests", 9, 80, Alignment::Right),
    column("now", 6, 130, Alignment::Right),
    column("received", 9, 130, Alignment::Right),
    column("sent", 9, 120, Alignment::Right),
    Column {
        name: "client",
        width: Constraint::Min(10),
        least: 95,
        side: Alignment::Left,
    },
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
    let rows = all.iter().skip(first).take(usize::from(room)).map(row);
    frame.render_widget(table(&COLUMNS, area.width, rows), area);
}

fn row(connection: &Value) -> [Line<'static>; 10] {
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
    [
        plain(text(connection, "/peer")).into(),
        plain(pool).into(),
        Line::styled(state, style),
        time(number(connection, "/age_ms")).into(),
        idle.into(),
        words::count(count(connection, "/requests")).into(),
        words::count(in_flight).into(),
        bytes(number(connection, "/bytes_received")).into(),
        bytes(number(connection, "/bytes_sent")).into(),
        Line::styled(plain(text(connection, "/user_agent")), SOFT),
    ]
}
