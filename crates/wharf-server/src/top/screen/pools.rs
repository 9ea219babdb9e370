//! The pools as gauges against their limits.

use std::cmp::Reverse;

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use serde_json::Value;

use super::{
    ACCENT, BAD, Column, SOFT, STRONG, WARN, column, curve, of_status, table, titled, within,
};
use crate::top::feed::Figures;
use crate::top::figures::{count, limit, list, number, text};
use crate::top::sight::Past;
use crate::top::view::{Pane, View};
use crate::top::words::{self, ms, rate, whole};

/// How wide a gauge is.
const GAUGE: u16 = 20;

const COLUMNS: [Column; 8] = [
    column("", 18, 0, Alignment::Left),
    column("", GAUGE, 100, Alignment::Left),
    column("connections", 15, 0, Alignment::Right),
    column("req/s", 9, 0, Alignment::Right),
    column("p50", 9, 90, Alignment::Right),
    column("p95", 9, 110, Alignment::Right),
    column("p99", 9, 0, Alignment::Right),
    column("refused", 8, 0, Alignment::Right),
];

/// Where curves begin, on a screen with every column.
const LEFT: u16 = 18 + GAUGE + 15 + 9 + 9 + 9 + 9 + 8 + 10;

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
    let rows = shown.iter().map(|pool| row(pool));
    frame.render_widget(table(&COLUMNS, area.width, rows), area);
    curves(frame, area, &shown, past);
}

/// Curves of their requests, where there is room at the right.
fn curves(frame: &mut Frame<'_>, area: Rect, shown: &[&Value], past: &Past) {
    for (pool, y) in shown.iter().zip(area.y + 1..) {
        let room = Rect {
            x: area.x + LEFT,
            y,
            width: area.width.saturating_sub(LEFT),
            height: 1,
        };
        if room.width >= 10
            && let Some(column) = past.pools.get(text(pool, "/name"))
        {
            curve::draw(frame, room, column);
        }
    }
}

fn row(pool: &Value) -> [Line<'static>; 8] {
    let quiet = count(pool, "/metrics/accepted") == 0;
    let (style, strong) = if quiet {
        (SOFT, SOFT)
    } else {
        (Style::new(), STRONG)
    };
    let most = limit(pool, "/health/max_connections");
    let active = number(pool, "/health/active_connections");
    let share = active / number(pool, "/health/max_connections").max(active).max(1.0);
    let share = if most.is_some() { share } else { 0.0 };
    let most = most.map_or_else(|| "∞".to_owned(), words::count);
    let latency = |figure: &str| {
        ms(number(
            pool,
            &format!("/metrics/performance/latency/{figure}"),
        ))
    };
    let refused = count(pool, "/health/rejected_connections");
    [
        Line::from_iter([
            Span::styled("● ", of_status(text(pool, "/health/status"))),
            Span::styled(text(pool, "/name").to_owned(), strong),
        ]),
        gauge(share, number(pool, "/health/utilization_ratio")),
        Line::styled(format!("{} / {most}", words::count(whole(active))), style),
        Line::styled(rate(number(pool, "/metrics/performance/throughput")), style),
        Line::styled(latency("p50_ms"), SOFT),
        Line::styled(latency("p95_ms"), SOFT),
        Line::styled(latency("p99_ms"), style),
        Line::styled(
            words::count(refused),
            if refused > 0 { WARN } else { style },
        ),
    ]
}

/// A bar of eighths of a character: the pool's own share, in the colour of its fullest limit.
pub(super) fn gauge(share: f64, ratio: f64) -> Line<'static> {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let style = match ratio {
        ratio if ratio >= 0.95 => BAD,
        ratio if ratio >= 0.8 => WARN,
        _ => ACCENT,
    };
    let eighths = whole((share.clamp(0.0, 1.0) * f64::from(GAUGE * 8)).floor());
    let filled = usize::try_from(eighths).unwrap_or(0);
    // Whoever holds anything is seen to.
    let filled = if share > 0.0 { filled.max(1) } else { filled };
    let bar = format!("{}{}", "█".repeat(filled / 8), EIGHTHS[filled % 8]);
    let rest = "·".repeat(usize::from(GAUGE) - bar.chars().count());
    Line::from_iter([Span::styled(bar, style), Span::styled(rest, SOFT)])
}
