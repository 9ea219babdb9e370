//! Servers are killed and started again, one after the other, under load.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Options;
use super::arrivals::steady;
use super::page::{Section, made, spread};
use super::sample::Samples;
use super::scene::Scene;
use super::server::{Knobs, Server};
use super::spoken::Spoken;
use super::way::{Gone, Kind};
use crate::compare::processor::on;

const KINDS: [Kind; 3] = [Kind::Wharf, Kind::NginxLeast, Kind::HaProxy];

const SERVERS: u32 = 8;
const PLACES: u32 = 4;

/// 70 % of what seven can do.
const RATE: f64 = 0.7 * 7.0 * PLACES as f64 / 0.010;

/// From one kill to the next.
const STEP: Duration = Duration::from_millis(2_500);

/// How long one is away.
const AWAY: Duration = Duration::from_secs(1);

/// What came of one gateway in one round.
struct Round {
    samples: Samples,
    /// Of all that came back, the most requests in hand at once in the first second, and the most requests in it
    /// by what is a server's share.
    in_hand: f64,
    share: f64,
    foreign: f64,
}

pub(super) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut all: Vec<(Kind, Vec<Round>)> = Vec::new();
    for round in 0..options.rounds.unwrap_or(2) {
        for nth in 0..KINDS.len() {
            let kind = KINDS[(nth + round) % KINDS.len()];
            let Some(found) = one(options, kind, round as u64)? else {
                continue;
            };
            eprintln!(
                "rolling {round} {}: {} of {} failed, p99 {:.1} ms, at most {:.0} in hand, {:.2} of its share",
                kind.name(),
                found.samples.failed(),
                found.samples.0.len(),
                found.samples.percentile(99.0),
                found.in_hand,
                found.share
            );
            match all.iter_mut().find(|it| it.0 == kind) {
                Some(it) => it.1.push(found),
                None => all.push((kind, vec![found])),
            }
        }
    }
    all.sort_by_key(|it| KINDS.iter().position(|kind| *kind == it.0));
    Ok(vec![Section {
        title: "Servers that go and come back",
        text: text(options, &all)?,
        chart: None,
    }])
}

fn one(options: &Options, kind: Kind, seed: u64) -> Result<Option<Round>> {
    let knobs = Knobs::of(&format!("--places {PLACES} --service 10ms"));
    let mut scene = Scene::set(options, Spoken::Http1, vec![knobs; SERVERS as usize])?;
    scene.gone = Gone::Back;
    let Some(mut stage) = scene.start(kind)? else {
        return Ok(None);
    };
    scene.check(stage.gateway.address)?;
    let lasting = STEP * (SERVERS + 1);
    let mut servers = std::mem::take(&mut scene.servers);
    stage.begin()?;
    let core = options.client_core;
    let roll = thread::spawn(move || {
        let returned = on(core, || roll(&mut servers))?;
        // They serve until the load is over.
        anyhow::Ok((returned, servers))
    });
    let samples = scene.load(stage.gateway.address, steady(lasting, RATE, seed))?;
    let rolled = roll.join().ok();
    let (returned, _servers) = rolled.context("the one who kills has panicked")??;
    let share = RATE / f64::from(SERVERS);
    Ok(Some(Round {
        samples,
        in_hand: returned.iter().map(|it| it.0).fold(0.0, f64::max),
        share: returned.iter().map(|it| it.1 / share).fold(0.0, f64::max),
        foreign: stage.cost()?.foreign,
    }))
}

/// Kills each and starts it again; of each that came back, the most in hand in its first second, and the requests.
fn roll(servers: &mut [Server]) -> Result<Vec<(f64, f64)>> {
    let begun = Instant::now();
    let mut due = STEP / 2;
    for server in &mut *servers {
        thread::sleep(due.saturating_sub(begun.elapsed()));
        server.kill()?;
        thread::sleep((due + AWAY).saturating_sub(begun.elapsed()));
        server.restart()?;
        due += STEP;
    }
    thread::sleep(STEP / 2);
    let seen = servers.iter().map(|server| {
        let seen = server.seen()?;
        Ok((seen.most_at_first, seen.requests_at_first))
    });
    seen.collect()
}

fn text(options: &Options, all: &[(Kind, Vec<Round>)]) -> Result<String> {
    let mut text = format!(
        "Eight servers that work on {PLACES} requests at once, each for 10 ms, and {RATE:.0} GETs a second, 70 % of what seven can do. Every \
         {:.1} s one is killed with all that it has in hand, and started again after {:.0} s. *In hand*: the most that one of those that came back \
         had at once in the second after its first request; *share*: the most requests that one was given in that second, by an eighth \
         of all. wharf and HAProxy ask servers every 0.2 s whether they are well, nginx leaves none alone here.\n\n\
         | | failed | of | p99, ms | p99.9, ms | in hand | share |\n|---|---:|---:|---:|---:|---:|---:|\n",
        STEP.as_secs_f64(),
        AWAY.as_secs_f64()
    );
    for (kind, rounds) in all {
        let failed: usize = rounds.iter().map(|it| it.samples.failed()).sum();
        let count: usize = rounds.iter().map(|it| it.samples.0.len()).sum();
        let of = |percent: f64| rounds.iter().map(move |it| it.samples.percentile(percent));
        writeln!(
            text,
            "| {} | {failed} | {count} | {} | {} | {} | {} |",
            kind.name(),
            spread(of(99.0), 1),
            spread(of(99.9), 1),
            spread(rounds.iter().map(|it| it.in_hand), 0),
            spread(rounds.iter().map(|it| it.share), 2)
        )?;
    }
    let foreign = all.iter().flat_map(|it| &it.1).map(|it| it.foreign);
    let foreign = foreign.fold(0.0, f64::max);
    let scene = Scene::set(options, Spoken::Http1, [])?;
    let ways: Vec<_> = all.iter().map(|it| scene.way(it.0)).collect();
    write!(text, "\n{}", made(options, &ways, foreign)?)?;
    Ok(text)
}
