//! A server that takes five times as long for a while, and a limit of requests before it.

use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Options;
use super::arrivals::steady;
use super::page::{Section, made, spread};
use super::plot::Plot;
use super::sample::{Outcome, Samples};
use super::scene::Scene;
use super::server::{Knobs, Server};
use super::spoken::Spoken;
use super::way::Kind;

/// A second: ten in flight, then fifty.
const RATE: f64 = 1_000.0;
const WELL: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(50);

/// What a request that is not let in is told.
const SHED: Outcome = Outcome::Wrong(503);

/// With and without a limit: what the limit does is what they differ by.
const KINDS: [Kind; 2] = [Kind::WharfLimited, Kind::Wharf];

pub(super) fn run(options: &Options) -> Result<Vec<Section>> {
    let seconds = u32::try_from(options.seconds.unwrap_or(30))?;
    let lasting = Duration::from_secs(seconds.into());
    let mut all: Vec<(Kind, Vec<Samples>)> = KINDS.map(|kind| (kind, Vec::new())).into();
    let mut foreign: f64 = 0.0;
    for round in 0..options.rounds.unwrap_or(3) {
        for (kind, rounds) in &mut all {
            let knobs = Knobs::of("--service 10ms --spread exponential");
            let scene = Scene::set(options, Spoken::Http1, [knobs])?;
            let Some(mut stage) = scene.start(*kind)? else {
                continue;
            };
            scene.check(stage.gateway.address)?;
            stage.begin()?;
            let server = scene.servers[0].address;
            let changing = thread::spawn(move || {
                thread::sleep(lasting / 3);
                Server::take(server, SLOW)?;
                thread::sleep(lasting / 3);
                Server::take(server, WELL)
            });
            let arrivals = steady(lasting, RATE, round as u64);
            let samples = scene.load(stage.gateway.address, arrivals)?;
            foreign = foreign.max(stage.cost()?.foreign);
            changing.join().ok().context("it has panicked")??;
            scene.check(stage.gateway.address)?;
            eprintln!(
                "backend {round} {}: {:.3} % shed",
                kind.name(),
                shed(&samples)
            );
            rounds.push(samples);
        }
    }
    Ok(vec![Section {
        title: "A server that slows down, behind a limit",
        text: text(options, &all, lasting, foreign)?,
        chart: Some(("gateway-backend.svg", plot(&all, seconds).draw()?)),
    }])
}

/// Of a hundred, how many were not let in.
#[expect(clippy::cast_precision_loss, reason = "counts of a minute's requests")]
fn shed(samples: &Samples) -> f64 {
    let count = samples.0.iter().filter(|it| it.outcome == SHED).count();
    100.0 * count as f64 / samples.0.len().max(1) as f64
}

fn text(
    options: &Options,
    all: &[(Kind, Vec<Samples>)],
    lasting: Duration,
    foreign: f64,
) -> Result<String> {
    let third = lasting / 3;
    let mut text = format!(
        "One server whose answers take {} ms (exponential), {} ms in the second third of {} s; {RATE:.0} requests a second: 10 in flight, then \
         50. `[limits.requests] mode = \"on\"` and its other defaults, or none. A request that is forwarded holds no place while it waits for the \
         server, so what gets slower there is no overload here. *Shed*: not let in by the gateway, of all.\n\n\
         | | shed, % | otherwise failed | p50 before, ms | p50 meanwhile, ms | p99 meanwhile, ms | p99 after, ms |\n|---|---:|---:|---:|---:|---:|---:|\n",
        WELL.as_millis(),
        SLOW.as_millis(),
        lasting.as_secs()
    );
    for (kind, rounds) in all {
        let of = |part: u32, percent: f64| {
            let parts = rounds
                .iter()
                .map(move |it| it.between(third * part, third * (part + 1)));
            spread(parts.map(|it| it.percentile(percent)), 1)
        };
        let others = |it: &Samples| {
            let failed = |outcome| outcome != Outcome::Answered && outcome != SHED;
            it.0.iter().filter(|it| failed(it.outcome)).count()
        };
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            kind.name(),
            spread(rounds.iter().map(shed), 3),
            rounds.iter().map(others).sum::<usize>(),
            of(0, 50.0),
            of(1, 50.0),
            of(1, 99.0),
            of(2, 99.0),
        )?;
    }
    let scene = Scene::set(options, Spoken::Http1, [])?;
    let ways: Vec<_> = all.iter().map(|it| scene.way(it.0)).collect();
    write!(text, "\n{}", made(options, &ways, foreign)?)?;
    Ok(text)
}

/// Each second of all rounds together.
fn plot(all: &[(Kind, Vec<Samples>)], seconds: u32) -> Plot<'static> {
    let second = |rounds: &[Samples], nth: u32| {
        let from = Duration::from_secs(nth.into());
        let to = from + Duration::from_secs(1);
        Samples(
            rounds
                .iter()
                .flat_map(|it| it.between(from, to).0)
                .collect(),
        )
    };
    let line = |name, rounds: &[Samples], of: &dyn Fn(&Samples) -> f64| {
        let ys = (0..seconds).map(|nth| of(&second(rounds, nth)));
        (name, ys.collect())
    };
    let (limited, bare) = (&all[0].1, &all[1].1);
    Plot {
        title: "A server that takes 50 ms and not 10 for a third of the time: latencies in each second, ms; shed, %",
        ticks: (0..seconds)
            .map(|nth| match nth % 5 {
                0 => format!("{nth} s"),
                _ => String::new(),
            })
            .collect(),
        lines: vec![
            line("limit: p50", limited, &|it| it.percentile(50.0)),
            line("limit: p99", limited, &|it| it.percentile(99.0)),
            line("no limit: p50", bare, &|it| it.percentile(50.0)),
            line("no limit: p99", bare, &|it| it.percentile(99.0)),
            line("limit: shed, %", limited, &|it| {
                Some(shed(it)).filter(|it| *it > 0.0).unwrap_or(f64::NAN)
            }),
        ],
    }
}
