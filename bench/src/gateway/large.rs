//! A gigabyte up and down.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::Options;
use super::page::{Section, made, spread};
use super::scene::Scene;
use super::server::Knobs;
use super::spoken::Spoken;
use super::way::Kind;
use crate::compare::processor::on;

const KINDS: [Kind; 3] = [Kind::Wharf, Kind::NginxLeast, Kind::HaProxy];
const SIZE: u64 = 1 << 30;

/// What came of one way in one round.
#[derive(Clone, Copy)]
struct Passage {
    seconds: f64,
    used: f64,
}

struct Round {
    up: Passage,
    down: Passage,
    /// The most that was resident, in MiB, before and in the end.
    resident: [f64; 2],
    foreign: f64,
}

pub(super) fn run(options: &Options) -> Result<Vec<Section>> {
    let mut all: Vec<(Kind, Vec<Round>)> = KINDS.map(|kind| (kind, Vec::new())).into();
    for round in 0..options.rounds.unwrap_or(3) {
        for (kind, rounds) in &mut all {
            if let Some(found) = one(options, *kind)? {
                let [before, most] = found.resident;
                eprintln!(
                    "large {round} {}: up {:.1} s, down {:.1} s, {before:.1} MiB, then {most:.1}",
                    kind.name(),
                    found.up.seconds,
                    found.down.seconds
                );
                rounds.push(found);
            }
        }
    }
    all.retain(|it| !it.1.is_empty());
    Ok(vec![Section {
        title: "A gigabyte up and down",
        text: text(options, &all)?,
        chart: None,
    }])
}

fn one(options: &Options, kind: Kind) -> Result<Option<Round>> {
    let scene = Scene::set(options, Spoken::Http1, [Knobs::default()])?;
    let Some(mut stage) = scene.start(kind)? else {
        return Ok(None);
    };
    let to = stage.gateway.address;
    scene.check(to)?;
    let before = most_resident(stage.gateway.pid())?;
    let mut foreign: f64 = 0.0;
    let mut pass = |way: fn(SocketAddr) -> Result<()>| -> Result<Passage> {
        stage.begin()?;
        let begun = Instant::now();
        on(options.client_core, || way(to))?;
        let (seconds, cost) = (begun.elapsed().as_secs_f64(), stage.cost()?);
        foreign = foreign.max(cost.foreign);
        Ok(Passage {
            seconds,
            used: cost.used,
        })
    };
    let (up, down) = (pass(up)?, pass(down)?);
    let resident = [before, most_resident(stage.gateway.pid())?];
    Ok(Some(Round {
        up,
        down,
        resident,
        foreign,
    }))
}

fn up(to: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(to)?;
    write!(
        stream,
        "POST /up HTTP/1.1\r\nhost: localhost\r\ncontent-length: {SIZE}\r\n\r\n"
    )?;
    let piece = vec![0; 64 << 10];
    for _ in 0..SIZE / piece.len() as u64 {
        stream.write_all(&piece)?;
    }
    let (length, mut body) = answer(stream)?;
    let mut said = vec![0; usize::try_from(length)?];
    body.read_exact(&mut said)?;
    ensure!(
        said == SIZE.to_string().as_bytes(),
        "so much came: {}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

fn down(to: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(to)?;
    write!(
        stream,
        "GET /bytes/{SIZE} HTTP/1.1\r\nhost: localhost\r\n\r\n"
    )?;
    let (length, mut body) = answer(stream)?;
    ensure!(length == SIZE, "{length} bytes are to come");
    let (mut left, mut piece) = (SIZE, vec![0; 64 << 10]);
    while left > 0 {
        let count = body.read(&mut piece)? as u64;
        ensure!(count > 0 && count <= left, "{left} bytes are missing");
        left -= count;
    }
    Ok(())
}

/// The length of an answer of 200, and its body.
fn answer(stream: TcpStream) -> Result<(u64, BufReader<TcpStream>)> {
    let mut body = BufReader::new(stream);
    let (mut head, mut line) = (Vec::new(), String::new());
    while body.read_line(&mut line)? > 2 {
        head.push(std::mem::take(&mut line).to_ascii_lowercase());
    }
    let status = head.first().context("no answer")?;
    ensure!(status.contains(" 200"), "another answer: {status}");
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length:"));
    Ok((length.context("no length")?.trim().parse()?, body))
}

/// The most memory that a process had, in MiB.
fn most_resident(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmHWM")?.trim().parse::<f64>()? / 1024.0)
}

fn text(options: &Options, all: &[(Kind, Vec<Round>)]) -> Result<String> {
    let mut text = "1 GiB as a request's body, then as an answer's, over HTTP/1 on loopback. nginx does not buffer here. *Memory* is the most that was \
         resident (`VmHWM`), before and after.\n\n\
         | | up, s | CPU, s | down, s | CPU, s | memory before, MiB | memory, MiB |\n|---|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for (kind, rounds) in all {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            kind.name(),
            spread(rounds.iter().map(|it| it.up.seconds), 2),
            spread(rounds.iter().map(|it| it.up.used), 2),
            spread(rounds.iter().map(|it| it.down.seconds), 2),
            spread(rounds.iter().map(|it| it.down.used), 2),
            spread(rounds.iter().map(|it| it.resident[0]), 1),
            spread(rounds.iter().map(|it| it.resident[1]), 1)
        )?;
    }
    let foreign = all.iter().flat_map(|it| &it.1).map(|it| it.foreign);
    let foreign = foreign.fold(0.0, f64::max);
    let scene = Scene::set(options, Spoken::Http1, [])?;
    let ways: Vec<_> = all.iter().map(|it| scene.way(it.0)).collect();
    write!(text, "\n{}", made(options, &ways, foreign)?)?;
    Ok(text)
}
