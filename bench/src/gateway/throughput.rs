//! Requests a second, and what one costs the processor.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::Options;
use super::connections::{CALL, MESSAGE};
use super::page::{Section, made, spread};
use super::scene::Scene;
use super::server::Knobs;
use super::spoken::Spoken;
use super::way::Kind;
use crate::compare::chart;
use crate::compare::figures::{middle, sorted};
use crate::compare::processor::on;
use crate::compare::tool::{Said, Tool};

const KINDS: [Kind; 3] = [Kind::Wharf, Kind::NginxLeast, Kind::HaProxy];
const SPOKEN: [Spoken; 3] = [Spoken::Http1, Spoken::Http2, Spoken::Grpc];

/// A second of load before what counts.
const WARM_UP: u64 = 1;

/// What came of one round.
#[derive(Clone, Copy)]
struct Round {
    rate: f64,
    cost: f64,
    share: f64,
    foreign: f64,
    failed: u64,
}

type Measured = (Kind, Vec<Round>);

pub(super) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut text = "One server that answers at once; every connection asks again as soon as it has its answer. `wrk -t1 -c64` for HTTP/1, \
         `h2load -t1 -c8 -m16` for HTTP/2 (to a server of HTTP/1) and for calls of gRPC. *CPU* is the gateway's processor time for each \
         request, *core* how much of its core it used.\n\n\
         | | requests/s | of nginx | CPU, µs | core | failed |\n|---|---:|---:|---:|---:|---:|\n"
        .to_owned();
    let mut groups = Vec::new();
    let mut foreign: f64 = 0.0;
    for spoken in SPOKEN {
        let all = measure(options, spoken)?;
        rows(&mut text, spoken, &all)?;
        let most = all.iter().flat_map(|it| &it.1).map(|it| it.foreign);
        foreign = most.fold(foreign, f64::max);
        let bars = all.iter().map(|(kind, rounds)| {
            let name = if *kind == Kind::Wharf {
                "wharf"
            } else {
                kind.name()
            };
            (name, middle(&sorted(rounds.iter().map(|it| it.cost))))
        });
        groups.push((spoken.name(), bars.collect()));
    }
    let scene = Scene::set(options, Spoken::Http1, [])?;
    let ways = KINDS.map(|kind| scene.way(kind));
    write!(text, "\n{}", made(options, &ways, foreign)?)?;
    Ok(vec![Section {
        title: "Throughput",
        text,
        chart: Some(("gateway.svg", chart::draw(&groups)?)),
    }])
}

fn measure(options: &Options, spoken: Spoken) -> Result<Vec<Measured>> {
    let mut all: Vec<Measured> = KINDS.map(|kind| (kind, Vec::new())).to_vec();
    for round in 0..options.rounds.unwrap_or(5) {
        let count = all.len();
        for nth in 0..count {
            let (kind, rounds) = &mut all[(nth + round) % count];
            let behind = if spoken.is_http2_behind() {
                "--http2"
            } else {
                ""
            };
            let scene = Scene::set(options, spoken, [Knobs::of(behind)])?;
            let Some(mut stage) = scene.start(*kind)? else {
                continue;
            };
            scene.check(stage.gateway.address)?;
            ask(&scene, stage.gateway.address, WARM_UP)?;
            stage.begin()?;
            let said = ask(&scene, stage.gateway.address, options.seconds.unwrap_or(2))?;
            let cost = stage.cost()?;
            scene.check(stage.gateway.address)?;
            ensure!(said.requests > 0, "nothing was answered");
            #[expect(clippy::cast_precision_loss, reason = "a count of seconds' requests")]
            let requests = said.requests as f64;
            let found = Round {
                rate: requests / said.seconds,
                cost: cost.used / requests * 1e6,
                share: cost.used / said.seconds,
                foreign: cost.foreign,
                failed: said.failed,
            };
            eprintln!(
                "throughput {spoken:?} {round} {}: {:.0} a second, {:.1} us, {:.0} % of its core, others {:.0} %, {} failed",
                kind.name(),
                found.rate,
                found.cost,
                found.share * 100.0,
                found.foreign * 100.0,
                found.failed
            );
            rounds.push(found);
        }
    }
    all.retain(|it| !it.1.is_empty());
    Ok(all)
}

fn ask(scene: &Scene<'_>, to: SocketAddr, seconds: u64) -> Result<Said> {
    let (tool, words) = match scene.spoken {
        Spoken::Http1 => (Tool::Wrk, format!("-t1 -c64 -d{seconds}s --latency")),
        Spoken::Http2 | Spoken::Grpc => (Tool::H2load, format!("-t1 -c8 -m16 -D{seconds}")),
    };
    let mut command = Command::new(tool.name());
    command.args(words.split(' '));
    if scene.spoken == Spoken::Grpc {
        let message = scene.site.folder().join("message");
        std::fs::write(&message, MESSAGE)?;
        command.arg("-d").arg(message);
        command.args(["-H", "content-type: application/grpc"]);
        command.args(["-H", "te: trailers"]);
        command.arg(format!("http://{to}{CALL}"));
    } else {
        command.arg(format!("http://{to}/hello"));
    }
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let output = on(scene.options.client_core, || {
        let output = command.output();
        output.with_context(|| format!("{} is needed", tool.name()))
    })?;
    tool.read(&String::from_utf8_lossy(&output.stdout))
}

fn rows(text: &mut String, spoken: Spoken, all: &[Measured]) -> Result<()> {
    let rate = |rounds: &[Round]| middle(&sorted(rounds.iter().map(|it| it.rate)));
    let nginx = all.iter().find(|it| it.0 == Kind::NginxLeast);
    for (kind, rounds) in all {
        let of = nginx.map_or(String::new(), |nginx| {
            format!("{:.2}", rate(rounds) / rate(&nginx.1))
        });
        writeln!(
            text,
            "| {}, {} | {} | {of} | {} | {:.0} % | {} |",
            spoken.name(),
            kind.name(),
            spread(rounds.iter().map(|it| it.rate), 0),
            spread(rounds.iter().map(|it| it.cost), 1),
            middle(&sorted(rounds.iter().map(|it| it.share * 100.0))),
            rounds.iter().map(|it| it.failed).sum::<u64>()
        )?;
    }
    Ok(())
}
