//! The figures of the process, each with its last ten minutes.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{RenderDirection, Sparkline};

use super::{ACCENT, SOFT, STRONG};
use crate::top::feed::Figures;
use crate::top::figures::{count, limit, list, number};
use crate::top::sight::{Column, Past};
use crate::top::words::{self, bytes, ms, rate, whole};

/// Draws four figures beside each other.
pub(super) fn tiles(frame: &mut Frame<'_>, area: Rect, figures: &Figures, past: &Past) {
    let pools = list(&figures.pools, "/pools");
    let sum = |place: &str| pools.iter().map(|pool| number(pool, place)).sum::<f64>();
    let most = |place: &str| {
        pools
            .iter()
            .map(|pool| number(pool, place))
            .fold(0.0, f64::max)
    };
    let health = &figures.health;
    let of = limit(health, "/max_connections")
        .map_or_else(String::new, |n| format!(" of {}", words::count(n)));
    let refused: f64 = past.refused.0.iter().sum();
    let shown = [
        (
            "connections",
            words::count(count(health, "/active_connections")),
            of,
            &past.connections,
        ),
        (
            "requests/s",
            rate(sum("/metrics/performance/throughput")),
            format!(
                " {} in flight",
                words::count(whole(sum("/metrics/in_flight")))
            ),
            &past.requests,
        ),
        (
            "p99",
            ms(most("/metrics/performance/latency/p99_ms")),
            " slowest pool".to_owned(),
            &past.slowest,
        ),
        (
            "refused",
            words::count(whole(refused)),
            format!(
                " in 10 min   {}",
                bytes(number(health, "/process/resident_bytes"))
            ),
            &past.refused,
        ),
    ];
    let columns = Layout::horizontal([Constraint::Fill(1); 4])
        .spacing(2)
        .split(area);
    for ((name, value, note, column), area) in shown.into_iter().zip(columns.iter()) {
        let head = Rect { height: 1, ..*area };
        // Half a word is worse than none.
        let fits = usize::from(area.width) > name.len() + value.len() + note.len();
        let note = if fits { note } else { String::new() };
        let line = [
            Span::styled(format!("{name} "), SOFT),
            Span::styled(value, STRONG),
            Span::styled(note, SOFT),
        ];
        frame.render_widget(Line::from_iter(line), head);
        let below = Rect {
            y: area.y + 1,
            height: area.height.saturating_sub(2),
            ..*area
        };
        draw(frame, below, column);
    }
}

/// Draws a curve whose newest figure is at the right edge.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, column: &Column) {
    let figures = column.0.iter().rev().map(|figure| whole(figure * 100.0));
    let curve = Sparkline::default()
        .data(figures.collect::<Vec<_>>())
        .direction(RenderDirection::RightToLeft)
        .style(ACCENT);
    frame.render_widget(curve, area);
}
