//! Eight servers, one ten times slower, one that fails at once.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::Options;
use super::arrivals::steady;
use super::page::{Section, made, spread};
use super::plot::Plot;
use super::sample::Samples;
use super::scene::Scene;
use super::server::Knobs;
use super::spoken::Spoken;
use super::way::Kind;

const KINDS: [Kind; 4] = [
    Kind::Wharf,
    Kind::NginxInTurn,
    Kind::NginxLeast,
    Kind::HaProxy,
];

/// Requests that a server works on at once, each for 10 ms.
const PLACES: u32 = 4;

/// A second, of a server that is well.
const CAPACITY: f64 = PLACES as f64 / 0.010;

/// Six that are well, and a tenth of one.
const WORTH: f64 = 6.1;

/// Of what they can do together.
const LOAD: f64 = 0.7;

const PERCENTILES: [f64; 7] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9];

/// What came of one gateway, in all rounds.
struct Measured {
    kind: Kind,
    rounds: Vec<Samples>,
    foreign: f64,
}

pub(super) fn run(options: &Options) -> Result<Vec<Section>> {
    Ok(vec![
        section(
            options,
            "constant",
            "One slow server and one that fails",
            Some("gateway-slow.svg"),
        )?,
        section(
            options,
            "exponential",
            "The same, with times far apart",
            None,
        )?,
    ])
}

fn section(
    options: &Options,
    law: &str,
    title: &'static str,
    chart: Option<&'static str>,
) -> Result<Section> {
    let seconds = Duration::from_secs(options.seconds.unwrap_or(8));
    let knobs = |nth: usize| {
        let common = Knobs::of(&format!("--places {PLACES} --spread {law} --seed {nth}"));
        match nth {
            0 => common.and("--service 100ms"),
            1 => common.and("--fail"),
            _ => common.and("--service 10ms"),
        }
    };
    let mut all: Vec<Measured> = Vec::new();
    for round in 0..options.rounds.unwrap_or(3) {
        for nth in 0..KINDS.len() {
            let kind = KINDS[(nth + round) % KINDS.len()];
            // What one gateway left undone is nothing to the next.
            let scene = Scene::set(options, Spoken::Http1, (0..8).map(knobs))?;
            let Some(mut stage) = scene.start(kind)? else {
                continue;
            };
            scene.check(stage.gateway.address)?;
            stage.begin()?;
            let arrivals = steady(seconds, LOAD * WORTH * CAPACITY, round as u64);
            let samples = scene.load(stage.gateway.address, arrivals)?;
            let foreign = stage.cost()?.foreign;
            scene.check(stage.gateway.address)?;
            eprintln!(
                "slow {law} {round} {}: p99 {:.1} ms, {:.2} % failed, others {:.0} %",
                kind.name(),
                samples.percentile(99.0),
                samples.failed_part() * 100.0,
                foreign * 100.0
            );
            match all.iter_mut().find(|it| it.kind == kind) {
                Some(it) => {
                    it.rounds.push(samples);
                    it.foreign = it.foreign.max(foreign);
                }
                None => all.push(Measured {
                    kind,
                    rounds: vec![samples],
                    foreign,
                }),
            }
        }
    }
    all.sort_by_key(|it| KINDS.iter().position(|kind| *kind == it.kind));
    let chart = match chart {
        Some(name) => Some((name, plot(&all).draw()?)),
        None => None,
    };
    let text = text(options, law, &all)?;
    Ok(Section { title, text, chart })
}

fn text(options: &Options, law: &str, all: &[Measured]) -> Result<String> {
    let mut text = format!(
        "Eight servers that work on {PLACES} requests at once, each for 10 ms ({law}); one takes 100 ms, one answers 500 at once. \
         {:.0} requests a second: {:.0} % of what six and a tenth of them can do. The gateways know nothing of them when the load \
         begins, and what they learn by failing counts.\n\n\
         | | p50, ms | p99, ms | p99.9, ms | failed, % | requests |\n|---|---:|---:|---:|---:|---:|\n",
        LOAD * WORTH * CAPACITY,
        LOAD * 100.0
    );
    for it in all {
        let of = |percent: f64| it.rounds.iter().map(move |round| round.percentile(percent));
        let failed = it.rounds.iter().map(|round| round.failed_part() * 100.0);
        let count: usize = it.rounds.iter().map(|round| round.0.len()).sum();
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {count} |",
            it.kind.name(),
            spread(of(50.0), 1),
            spread(of(99.0), 1),
            spread(of(99.9), 1),
            spread(failed, 2)
        )?;
    }
    let foreign = all.iter().map(|it| it.foreign).fold(0.0, f64::max);
    let scene = Scene::set(options, Spoken::Http1, [])?;
    let ways: Vec<_> = all.iter().map(|it| scene.way(it.kind)).collect();
    write!(text, "\n{}", made(options, &ways, foreign)?)?;
    Ok(text)
}

fn plot(all: &[Measured]) -> Plot<'static> {
    let line = |it: &Measured| {
        let together = Samples(it.rounds.iter().flat_map(|round| round.0.clone()).collect());
        let ys = PERCENTILES.map(|percent| together.percentile(percent));
        (it.kind.name(), ys.to_vec())
    };
    Plot {
        title: "One slow server of eight and one that fails: what so many of a hundred did not take longer than, ms",
        ticks: PERCENTILES.map(|percent| percent.to_string()).to_vec(),
        lines: all.iter().map(line).collect(),
    }
}
