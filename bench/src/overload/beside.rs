//! The charts: all beside each other as the overload begins, and one for as long as it lasts.

use anyhow::Result;

use super::peer::Kind;
use super::round::Round;
use super::seen::Part;
use crate::gateway::plot::{Line, Plot};

/// A chart has about so many points and not many more.
const POINTS: u32 = 150;

/// Their names, and they.
pub(super) fn charts(all: &[Round]) -> Result<Vec<(&'static str, String)>> {
    // What all have: the phases before, and so much of the overload as the shortest.
    let shared = all.iter().map(|it| it.ends[2]).min().unwrap_or(0);
    let beside = |title, of: fn(&Part) -> f64| {
        let line = |it: &Round| (it.kind.name(), each(it, shared, 1, of));
        Plot {
            title,
            ticks: ticks(shared, 1),
            lines: all.iter().map(line).collect(),
        }
    };
    let mut charts = vec![
        (
            "overload-goodput.svg",
            beside("Answers within 50 ms, in each second: a tenth, a half, then twice of what it can do", good).draw()?,
        ),
        (
            "overload-latency.svg",
            beside("p99 of what was answered within 2 s, in each second, ms", |it| it.p99).draw()?,
        ),
    ];
    if let Some(it) = all.iter().find(|it| it.kind == Kind::Limited) {
        charts.push(("overload-limit.svg", alone(it).draw()?));
    }
    Ok(charts)
}

fn alone(round: &Round) -> Plot<'static> {
    let end = round.ends[3];
    let step = end.div_ceil(POINTS).max(1);
    let limits = round.limits.chunks(step as usize);
    let mean = |some: &[f64]| {
        let told = some.iter().filter(|it| it.is_finite());
        told.clone().sum::<f64>() / f64::from(u32::try_from(told.count()).unwrap_or(u32::MAX))
    };
    let limits: Vec<f64> = limits.map(mean).take((end / step) as usize).collect();
    let lines: Vec<Line> = vec![
        ("in time, a second", each(round, end, step, good)),
        ("p50, ms", each(round, end, step, |it| it.p50)),
        ("p99, ms", each(round, end, step, |it| it.p99)),
        ("limit", limits),
    ];
    Plot {
        title: "wharf with its limit, from before the overload until after it",
        ticks: ticks(end, step),
        lines,
    }
}

/// None is drawn at the bottom: a logarithm has no zero.
fn good(part: &Part) -> f64 {
    part.good.max(1.0)
}

/// A figure of each step.
fn each(round: &Round, end: u32, step: u32, of: fn(&Part) -> f64) -> Vec<f64> {
    let froms = (0..end / step).map(|nth| nth * step);
    froms
        .map(|from| of(&Part::of(&round.seen, from, from + step)))
        .collect()
}

/// Ten of them, or so.
fn ticks(end: u32, step: u32) -> Vec<String> {
    let count = end / step;
    let every = count.div_ceil(10).max(1);
    (0..count)
        .map(|nth| match nth % every {
            0 => format!("{} s", nth * step),
            _ => String::new(),
        })
        .collect()
}
