//! The first seconds of a gateway, with and without connections made ahead.

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
    Kind::WharfUnprepared,
    Kind::NginxLeast,
    Kind::HaProxy,
];

const SERVERS: usize = 8;
const RATE: f64 = 1_000.0;
const BUCKET: Duration = Duration::from_millis(100);
const BUCKETS: u32 = 20;

/// How long a gateway has from its start to the first request.
const HEAD_START: Duration = Duration::from_millis(500);

pub(super) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut all: Vec<(Kind, Vec<Samples>)> = KINDS.map(|kind| (kind, Vec::new())).to_vec();
    let mut foreign: f64 = 0.0;
    for round in 0..options.rounds.unwrap_or(7) {
        for (kind, rounds) in &mut all {
            let mut scene = Scene::set(options, Spoken::Http1, [])?;
            let knobs = Knobs::of("--service 5ms --handshake 30ms --certificate")
                .with(&scene.site.certificate())
                .and("--key")
                .with(&scene.site.key());
            scene.serve(vec![knobs; SERVERS])?;
            scene.tls = true;
            let Some(mut stage) = scene.start(*kind)? else {
                continue;
            };
            std::thread::sleep(HEAD_START);
            stage.begin()?;
            let arrivals = steady(BUCKET * BUCKETS, RATE, round as u64);
            let samples = scene.load(stage.gateway.address, arrivals)?;
            foreign = foreign.max(stage.cost()?.foreign);
            eprintln!(
                "cold {round} {}: p99 of the first second {:.1} ms, {} failed",
                kind.name(),
                first(&samples).percentile(99.0),
                samples.failed()
            );
            rounds.push(samples);
        }
    }
    all.retain(|(_, rounds)| !rounds.is_empty());
    Ok(vec![Section {
        title: "The first second",
        text: text(options, &all, foreign)?,
        chart: Some(("gateway-cold.svg", plot(&all).draw()?)),
    }])
}

fn first(samples: &Samples) -> Samples {
    samples.between(Duration::ZERO, Duration::from_secs(1))
}

fn text(options: &Options, all: &[(Kind, Vec<Samples>)], foreign: f64) -> Result<String> {
    let mut text = format!(
        "Eight servers that speak TLS, are 30 ms away (so long does a handshake take longer) and take 5 ms for an answer; {RATE:.0} requests a \
         second, beginning {:.1} s after the gateway. wharf makes four connections to each server ahead of requests, or none.\n\n\
         | | p50 of the first second, ms | p99 of the first second, ms | p99 of the second, ms | failed |\n|---|---:|---:|---:|---:|\n",
        HEAD_START.as_secs_f64()
    );
    for (kind, rounds) in all {
        let second = |it: &Samples| it.between(Duration::from_secs(1), Duration::from_secs(2));
        writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            kind.name(),
            spread(rounds.iter().map(|it| first(it).percentile(50.0)), 1),
            spread(rounds.iter().map(|it| first(it).percentile(99.0)), 1),
            spread(rounds.iter().map(|it| second(it).percentile(99.0)), 1),
            rounds.iter().map(Samples::failed).sum::<usize>()
        )?;
    }
    let scene = Scene::set(options, Spoken::Http1, [])?;
    let ways: Vec<_> = all.iter().map(|it| scene.way(it.0)).collect();
    write!(text, "\n{}", made(options, &ways, foreign)?)?;
    Ok(text)
}

fn plot(all: &[(Kind, Vec<Samples>)]) -> Plot<'static> {
    let line = |(kind, rounds): &(Kind, Vec<Samples>)| {
        let together = Samples(rounds.iter().flat_map(|round| round.0.clone()).collect());
        let bucket = |nth| together.between(BUCKET * nth, BUCKET * (nth + 1));
        let ys = (0..BUCKETS).map(|nth| bucket(nth).percentile(99.0));
        (kind.name(), ys.collect())
    };
    let tick = |nth: u32| match nth % 5 {
        0 => format!("{:.1} s", (BUCKET * nth).as_secs_f64()),
        _ => String::new(),
    };
    Plot {
        title: "p99 of each tenth of a second after the first request, ms",
        ticks: (0..BUCKETS).map(tick).collect(),
        lines: all.iter().map(line).collect(),
    }
}
