//! The screen: figures on top, then pools, connections and events, as much of each as there is room.

mod connections;
mod curve;
mod events;
mod head;
mod pools;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, Wrap};

use super::sight::Sight;
use super::view::{Events, Pane, View};

/// One accent, which also says "healthy"; yellow and red say that something is not.
pub(super) const ACCENT: Style = Style::new().fg(Color::Cyan);
pub(super) const SOFT: Style = Style::new().fg(Color::DarkGray);
pub(super) const WARN: Style = Style::new().fg(Color::Yellow);
pub(super) const BAD: Style = Style::new().fg(Color::Red);
pub(super) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);

/// The smallest screen that something can be read on.
const LEAST: (u16, u16) = (50, 12);

/// Draws everything that is known.
pub(super) fn draw(frame: &mut Frame<'_>, sight: &Sight, view: &mut View) {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let words = format!("{} by {} is too small", area.width, area.height);
        frame.render_widget(Paragraph::new(words).wrap(Wrap { trim: true }), area);
        return;
    }
    let Some(figures) = &sight.figures else {
        let words = sight.fault.as_deref().unwrap_or("asking …");
        frame.render_widget(Paragraph::new(words.to_owned()), area);
        return;
    };
    let pools = super::figures::list(&figures.pools, "/pools").len();
    let [head, tiles, upper, middle, lower, foot] = areas(area, pools);
    head::draw(frame, head, figures, sight.fault.as_deref());
    curve::tiles(frame, tiles, figures, &sight.past);
    pools::draw(frame, upper, figures, &sight.past, view);
    connections::draw(frame, middle, figures, view);
    events::draw(frame, lower, sight, view);
    frame.render_widget(keys(view), foot);
}

/// Head, figures, pools, connections, events, keys: pools get at most a third, events a fifth.
fn areas(area: Rect, pools: usize) -> [Rect; 6] {
    let tiles = if area.height < 24 { 2 } else { 4 };
    let pools = u16::try_from(pools + 3)
        .unwrap_or(u16::MAX)
        .min(area.height / 3);
    let events = (area.height / 5).max(3);
    Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(tiles),
        Constraint::Length(pools),
        Constraint::Min(3),
        Constraint::Length(events),
        Constraint::Length(1),
    ])
    .areas(area)
}

/// The name of a part with a note, and what is below it.
fn titled(frame: &mut Frame<'_>, area: Rect, pane: (Pane, &View), words: (&str, String)) -> Rect {
    let [title, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let (of, view) = pane;
    let style = if of == view.pane {
        STRONG.patch(ACCENT)
    } else {
        STRONG
    };
    let line = Line::from_iter([
        Span::styled(words.0.to_owned(), style),
        "  ".into(),
        Span::styled(words.1, SOFT),
    ]);
    frame.render_widget(line, title);
    rest
}

/// A column of a table: its name, how wide it is, and how wide a screen has to be to have it.
pub(super) struct Column {
    name: &'static str,
    width: Constraint,
    least: u16,
    side: Alignment,
}

const fn column(name: &'static str, width: u16, least: u16, side: Alignment) -> Column {
    Column {
        name,
        width: Constraint::Length(width),
        least,
        side,
    }
}

/// A table of those columns that a screen of this width has room for.
fn table<const N: usize>(
    columns: &[Column; N],
    room: u16,
    rows: impl Iterator<Item = [Line<'static>; N]>,
) -> Table<'static> {
    let fits = |at: &usize| columns[*at].least <= room;
    let shown: Vec<usize> = (0..N).filter(fits).collect();
    let names = columns.each_ref().map(|it| Line::styled(it.name, SOFT));
    let row = |mut lines: [Line<'static>; N]| {
        let cells = shown.iter().map(|at| {
            let line = std::mem::take(&mut lines[*at]);
            Cell::from(line.alignment(columns[*at].side))
        });
        Row::new(cells.collect::<Vec<_>>())
    };
    let widths: Vec<_> = shown.iter().map(|at| columns[*at].width).collect();
    let header = row(names);
    Table::new(rows.map(row), widths)
        .header(header)
        .column_spacing(1)
}

/// The first line that can be shown so that the last page is full.
fn within(at: &mut usize, lines: usize, room: u16) -> usize {
    *at = (*at).min(lines.saturating_sub(usize::from(room)));
    *at
}

fn keys(view: &View) -> Line<'static> {
    let every = match view.wanted.events {
        Events::Notable => "every connection's events",
        Events::Every => "only notable events",
    };
    let keys = [
        ("q", "leave"),
        ("tab", "next part"),
        ("↑ ↓", "scroll"),
        ("s", "sort"),
        ("e", every),
    ];
    keys.into_iter()
        .flat_map(|(key, does)| {
            [
                Span::styled(key, ACCENT),
                Span::styled(format!(" {does}   "), SOFT),
            ]
        })
        .collect()
}

/// How a status looks.
fn of_status(status: &str) -> Style {
    match status {
        "healthy" => ACCENT,
        "degraded" | "draining" => WARN,
        _ => BAD,
    }
}

#[cfg(test)]
mod tests;
