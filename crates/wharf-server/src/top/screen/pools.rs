//! The pools as gauges against their limits.

use std::cmp::Reverse;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};
use serde_json::Value;

use super::{ACCENT, BAD, SOFT, STRONG, WARN, curve, of_status, titled, within};
use crate::top::feed::Figures;
use crate::top::figures::{count, limit, list, number, text};
use crate::top::sight::Past;
use crate::top::view::{Pane, View};
use crate::top::words::{self, ms, rate, whole};

/// How wide a gauge is.
const GAUGE: u16 = 20;

const WIDTHS: [u16; 8] = [18, 20, 15, 9, 9, 9, 9, 8];

/// Draws them: those that hold or held connections first.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    figures: &Figures,
    past: &Past,
    view: &mut View,
) {
    let mut pools: Vec<_> = list(&figures.pools, "/pools").iter().collect();
    pools.sort_by_key(|pool| Reverse(count(pool, "/metrics/accepted") > 0));
    let unwell = pools
        .iter()
        .filter(|pool| text(pool, "/health/status") != "healthy")
        .count();
    let note = match unwell {
        0 => format!("{}, all healthy", pools.len()),
        _ => format!("{unwell} of {} not healthy", pools.len()),
    };
    let area = titled(frame, area, (Pane::Pools, view), ("Pools", note));
    let room = area.height.saturating_sub(2);
    let first = within(&mut view.pools, pools.len(), room);
    let shown: Vec<_> = pools
        .into_iter()
        .skip(first)
        .take(usize::from(room))
        .collect();
    let names = [
        "",
        "",
        "connections",
        "req/s",
        "p50",
        "p95",
        "p99",
        "refused",
    ];
    let names = names.into_iter().enumerate().map(|(at, name)| {
        let line = Line::styled(name, SOFT);
        Cell::from(if at > 1 { line.right_aligned() } else { line })
    });
    let widths = WIDTHS.map(Constraint::Length);
    let table = Table::new(shown.iter().map(|pool| row(pool)), widths).header(Row::new(names));
    frame.render_widget(table.column_spacing(1), area);
    curves(frame, area, &shown, past);
}

/// Curves of their requests, where there is room at the right.
fn curves(frame: &mut Frame<'_>, area: Rect, shown: &[&Value], past: &Past) {
    let left = WIDTHS.iter().sum::<u16>() + 10;
    for (pool, y) in shown.iter().zip(area.y + 1..) {
        let room = Rect {
            x: area.x + left,
            y,
            width: area.width.saturating_sub(left),
            height: 1,
        };
        if room.width >= 10
            && let Some(column) = past.pools.get(text(pool, "/name"))
        {
            curve::draw(frame, room, column);
        }
    }
}

fn row(pool: &Value) -> Row<'static> {
    let status = text(pool, "/health/status").to_owned();
    let quiet = count(pool, "/metrics/accepted") == 0;
    let style = if quiet { SOFT } else { Style::new() };
    let active = words::count(count(pool, "/health/active_connections"));
    let most = limit(pool, "/health/max_connections").map_or_else(|| "∞".to_owned(), words::count);
    let latency = |figure: &str| {
        ms(number(
            pool,
            &format!("/metrics/performance/latency/{figure}"),
        ))
    };
    let refused = count(pool, "/health/rejected_connections");
    let right = |text: String, style: Style| Cell::from(Line::styled(text, style).right_aligned());
    Row::new([
        Cell::from(Line::from_iter([
            Span::styled("● ", of_status(&status)),
            Span::styled(
                text(pool, "/name").to_owned(),
                if quiet { SOFT } else { STRONG },
            ),
        ])),
        Cell::from(gauge(number(pool, "/health/utilization_ratio"))),
        right(format!("{active} / {most}"), style),
        right(rate(number(pool, "/metrics/performance/throughput")), style),
        right(latency("p50_ms"), SOFT),
        right(latency("p95_ms"), SOFT),
        right(latency("p99_ms"), style),
        right(
            words::count(refused),
            if refused > 0 { WARN } else { style },
        ),
    ])
}

/// A bar of eighths of a character.
pub(super) fn gauge(ratio: f64) -> Line<'static> {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let style = match ratio {
        ratio if ratio >= 0.95 => BAD,
        ratio if ratio >= 0.8 => WARN,
        _ => ACCENT,
    };
    let eighths = whole((ratio.clamp(0.0, 1.0) * f64::from(GAUGE * 8)).floor());
    let filled = usize::try_from(eighths).unwrap_or(0);
    // Whoever holds anything is seen to.
    let filled = if ratio > 0.0 { filled.max(1) } else { filled };
    let bar = format!("{}{}", "█".repeat(filled / 8), EIGHTHS[filled % 8]);
    let rest = "·".repeat(usize::from(GAUGE) - bar.chars().count());
    Line::from_iter([Span::styled(bar, style), Span::styled(rest, SOFT)])
}
