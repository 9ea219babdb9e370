//! A load that swings, and bursts: who waits for a connection, and how many are held.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;

use super::Options;
use super::arrivals::arrivals;
use super::page::{Section, made, spread};
use super::sample::Samples;
use super::scene::Scene;
use super::server::{Knobs, Server};
use super::spoken::Spoken;
use super::way::Kind;

const KINDS: [Kind; 3] = [Kind::Wharf, Kind::NginxLeast, Kind::HaProxy];

/// The study's load (`docs/control-laws.md`), ten times faster: its sine lasts ten minutes, its bursts come every
/// two and last 5 s.
const PERIOD: f64 = 60.0;
const BURST_EVERY: f64 = 12.0;
const BURST: f64 = 1.0;
const BURST_FACTOR: f64 = 2.5;
const MOST: f64 = 700.0 * BURST_FACTOR;

/// Who waited longer than this for something else than the server waited for a connection, which takes 30 ms.
const WAITED: Duration = Duration::from_millis(15);

/// What came of one gateway in one round.
struct Round {
    samples: Samples,
    held: f64,
    connects: f64,
    foreign: f64,
}

fn rate(seconds: f64) -> f64 {
    let sine = 400.0 + 300.0 * (std::f64::consts::TAU * seconds / PERIOD).sin();
    let bursts = seconds % BURST_EVERY >= BURST_EVERY - BURST;
    if bursts { sine * BURST_FACTOR } else { sine }
}

pub(super) fn run(options: &Options) -> Result<Vec<Section>> {
    let lasting = Duration::from_secs(options.seconds.unwrap_or(60));
    let mut all: Vec<(Kind, Vec<Round>)> = Vec::new();
    for round in 0..options.rounds.unwrap_or(1) {
        for nth in 0..KINDS.len() {
            let kind = KINDS[(nth + round) % KINDS.len()];
            let Some(found) = one(options, kind, lasting, round as u64)? else {
                continue;
            };
            eprintln!(
                "sine {round} {}: {:.3} % waited, {:.1} connections",
                kind.name(),
                found.samples.waited_part(WAITED) * 100.0,
                found.held
            );
            match all.iter_mut().find(|it| it.0 == kind) {
                Some(it) => it.1.push(found),
                None => all.push((kind, vec![found])),
            }
        }
    }
    all.sort_by_key(|it| KINDS.iter().position(|kind| *kind == it.0));
    Ok(vec![Section {
        title: "A load that swings",
        text: text(options, &all)?,
        chart: None,
    }])
}

fn one(options: &Options, kind: Kind, lasting: Duration, seed: u64) -> Result<Option<Round>> {
    let mut scene = Scene::set(options, Spoken::Http1, [])?;
    let knobs = Knobs::of("--service 50ms --spread lognormal --handshake 30ms --certificate")
        .with(&scene.site.certificate())
        .and("--key")
        .with(&scene.site.key());
    scene.serve([knobs])?;
    scene.tls = true;
    scene.kept = 100;
    let Some(mut stage) = scene.start(kind)? else {
        return Ok(None);
    };
    scene.check(stage.gateway.address)?;
    // The figures are asked for without TLS, of a server that wants it: by way of the gateway.
    let before = Server::seen_through(stage.gateway.address)?;
    stage.begin()?;
    let samples = scene.load(stage.gateway.address, arrivals(lasting, MOST, rate, seed))?;
    let foreign = stage.cost()?.foreign;
    let after = Server::seen_through(stage.gateway.address)?;
    let seconds = after.seconds - before.seconds;
    Ok(Some(Round {
        samples,
        held: (after.held - before.held) / seconds,
        connects: (after.connections - before.connections) / seconds,
        foreign,
    }))
}

fn text(options: &Options, all: &[(Kind, Vec<Round>)]) -> Result<String> {
    let mut text = format!(
        "One server that speaks TLS: a handshake takes 30 ms, an answer a log-normal time (mean 50 ms, σ 1). The load is that of the pool \
         study in [control-laws.md](../control-laws.md), ten times faster: between 100 and 700 requests a second, a sine of {PERIOD:.0} s, and in one second of \
         every {BURST_EVERY:.0} so much times {BURST_FACTOR}. *Waited*: the answer took {} ms longer than the server says; *connections*: held at the \
         server, on average. nginx keeps up to 100 idle ones, HAProxy as many as it had.\n\n\
         | | waited, % | connections | connects/s | added p50, ms | added p99.9, ms | failed |\n|---|---:|---:|---:|---:|---:|---:|\n",
        WAITED.as_millis()
    );
    for (kind, rounds) in all {
        let waited = rounds
            .iter()
            .map(|it| it.samples.waited_part(WAITED) * 100.0);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            kind.name(),
            spread(waited, 2),
            spread(rounds.iter().map(|it| it.held), 1),
            spread(rounds.iter().map(|it| it.connects), 2),
            spread(rounds.iter().map(|it| it.samples.added(50.0)), 2),
            spread(rounds.iter().map(|it| it.samples.added(99.9)), 1),
            rounds.iter().map(|it| it.samples.failed()).sum::<usize>()
        )?;
    }
    let foreign = all.iter().flat_map(|it| &it.1).map(|it| it.foreign);
    let foreign = foreign.fold(0.0, f64::max);
    let scene = Scene::set(options, Spoken::Http1, [])?;
    let ways: Vec<_> = all.iter().map(|it| scene.way(it.0)).collect();
    write!(text, "\n{}", made(options, &ways, foreign)?)?;
    Ok(text)
}
