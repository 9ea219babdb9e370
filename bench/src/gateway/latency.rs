//! What a gateway adds to the time of a request.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::Options;
use super::arrivals::steady;
use super::page::{Section, made, spread};
use super::sample::Samples;
use super::scene::Scene;
use super::server::Knobs;
use super::spoken::Spoken;
use super::way::Kind;

const KINDS: [Kind; 3] = [Kind::Wharf, Kind::NginxLeast, Kind::HaProxy];
const SPOKEN: [Spoken; 3] = [Spoken::Http1, Spoken::Http2, Spoken::Grpc];
const RATE: f64 = 1_000.0;

/// What is not counted, from the beginning of each load.
const WARM_UP: Duration = Duration::from_millis(500);

/// All rounds of one: a gateway, or none.
type Measured = (Option<Kind>, Vec<Samples>);

pub(super) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut text = format!(
        "One server that answers at once, {RATE:.0} requests a second. *None* is the load at the server itself; what is added is the \
         difference of the medians of a round.\n\n\
         | | p50, µs | p50 added, µs | p99, µs |\n|---|---:|---:|---:|\n"
    );
    let mut foreign: f64 = 0.0;
    for spoken in SPOKEN {
        let all = measure(options, spoken, &mut foreign)?;
        rows(&mut text, spoken, &all)?;
    }
    let scene = Scene::set(options, Spoken::Http1, [])?;
    let ways = KINDS.map(|kind| scene.way(kind));
    write!(text, "\n{}", made(options, &ways, foreign)?)?;
    Ok(vec![Section {
        title: "What a gateway adds",
        text,
        chart: None,
    }])
}

fn measure(options: &Options, spoken: Spoken, foreign: &mut f64) -> Result<Vec<Measured>> {
    let lasting = WARM_UP + Duration::from_secs(options.seconds.unwrap_or(2));
    let behind = if spoken.is_http2_behind() {
        "--http2"
    } else {
        ""
    };
    let mut all: Vec<Measured> = vec![(None, Vec::new())];
    all.extend(KINDS.map(|kind| (Some(kind), Vec::new())));
    for round in 0..options.rounds.unwrap_or(5) {
        let first = round % all.len();
        for nth in 0..all.len() {
            let (kind, rounds) = &mut all[(first + nth) % 4];
            let direct = if spoken == Spoken::Http2 && kind.is_none() {
                // The server behind speaks HTTP/1 then.
                Spoken::Http1
            } else {
                spoken
            };
            let mut scene = Scene::set(options, direct, [Knobs::of(behind)])?;
            scene.kept = 16;
            let arrivals = steady(lasting, RATE, round as u64);
            let samples = match *kind {
                None => scene.load(scene.servers[0].address, arrivals)?,
                Some(kind) => {
                    let Some(mut stage) = scene.start(kind)? else {
                        continue;
                    };
                    scene.check(stage.gateway.address)?;
                    stage.begin()?;
                    let samples = scene.load(stage.gateway.address, arrivals)?;
                    *foreign = foreign.max(stage.cost()?.foreign);
                    samples
                }
            };
            let samples = samples.between(WARM_UP, Duration::MAX);
            eprintln!(
                "latency {spoken:?} {round} {}: p50 {:.0} us, {} failed",
                kind.map_or("none", Kind::name),
                samples.percentile(50.0) * 1e3,
                samples.failed()
            );
            rounds.push(samples);
        }
    }
    Ok(all)
}

fn rows(text: &mut String, spoken: Spoken, all: &[Measured]) -> Result<()> {
    let micros = |it: &Samples, percent| it.percentile(percent) * 1e3;
    let direct = &all[0].1;
    for (kind, rounds) in all.iter().filter(|it| !it.1.is_empty()) {
        let added = rounds.iter().zip(direct);
        let added = added.map(|(it, direct)| micros(it, 50.0) - micros(direct, 50.0));
        let added = match kind {
            Some(_) => spread(added, 0),
            None => String::new(),
        };
        writeln!(
            text,
            "| {}, {} | {} | {added} | {} |",
            spoken.name(),
            kind.map_or("none", Kind::name),
            spread(rounds.iter().map(|it| micros(it, 50.0)), 0),
            spread(rounds.iter().map(|it| micros(it, 99.0)), 0)
        )?;
    }
    Ok(())
}
