//! The page.

use std::fmt::Write as _;

use anyhow::Result;

use super::Options;
use super::load::{CRITICAL, PATIENCE};
use super::peer::{Kind, PLACES};
use super::round::Round;
use super::seen::{GOOD, Part};
use crate::compare::machine::Machine;

/// How many times an unloaded answer one that is let in may take.
const TIMES: f64 = 5.0;

/// p99 by p50 of an exponential time: ln 100 by ln 2.
const TAIL: f64 = 6.64;

/// All of it.
pub(super) fn page(options: &Options, all: &[Round]) -> Result<String> {
    let mut page = head(options);
    page.push_str(&table(all)?);
    writeln!(
        page,
        "\n![In time, in each second](overload-goodput.svg)\n\n![Latency in each second](overload-latency.svg)"
    )?;
    if let Some(limited) = all.iter().find(|it| it.kind == Kind::Limited) {
        page.push_str(&verdict(limited)?);
    }
    let machine = Machine::found()?.to_string();
    let machine = machine.lines().next().unwrap_or_default();
    writeln!(page, "\n## With what\n\n{machine}")?;
    for it in all {
        let version = it.kind.version();
        let version = version.as_deref().unwrap_or("of unknown version");
        writeln!(
            page,
            "* {}: {version}; others used {:.0} % of its core meanwhile",
            it.kind.name(),
            it.foreign * 100.0
        )?;
    }
    let Options {
        seconds,
        others,
        around,
        ..
    } = options;
    writeln!(
        page,
        "* `bench overload --seconds {seconds} --others {others} --around {around}`"
    )?;
    Ok(page)
}

fn head(options: &Options) -> String {
    format!(
        "# Twice what a server can do\n\n\
         Written by `bench overload`; how it is done: [bench/README.md](../../bench/README.md), and what to do about it: \
         [overload](../overload.md).\n\n\
         A handler that computes for 2 ms on average (exponential) and never waits, on one worker and one core; the load on another. \
         Each peer is first asked by four clients in turn what it can do (*peak*), then in an open loop (Poisson) for a tenth of \
         that, a half, **twice**, and four fifths: {around} s each, the overload {seconds} s for wharf with its limit and {others} s at most for the \
         others. Latency counts from when a request was due; *in time* is within {good} ms of that, and after {patience} s a client gives up and \
         closes its connection. One request of {CRITICAL} is critical. Everything is of the whole phase, also the seconds in which \
         a limit looks for its place; only the row *twice* has these apart.\n\n\
         nginx cannot run this handler: it is a proxy to `axum::serve` on the same core, with `proxy_next_upstream off`; once as it is, once with \
         `limit_conn` of {PLACES}, which somebody has to find for each handler, and which knows no importance.\n",
        around = options.around,
        seconds = options.seconds,
        others = options.others,
        good = GOOD.as_millis(),
        patience = PATIENCE.as_secs(),
    )
}

fn table(all: &[Round]) -> Result<String> {
    let mut text = String::from(
        "\n| | load | in time, a second | of the peak, % | p50, ms | p99, ms | turned away, % | given up, % | critical served, % |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for it in all {
        let parts = [
            ("a tenth", it.phase(0)),
            ("a half", it.phase(1)),
            ("twice, its first seconds", it.settling()),
            ("**twice**", it.overloaded()),
            ("four fifths, right behind", it.phase(3)),
        ];
        for (load, part) in parts {
            row(&mut text, it, load, &part)?;
        }
    }
    Ok(text)
}

fn row(text: &mut String, round: &Round, load: &str, part: &Part) -> Result<()> {
    let Part {
        good,
        p50,
        p99,
        refused,
        lost,
        critical,
    } = part;
    writeln!(
        text,
        "| {} | {load} | {good:.0} | {:.0} | {p50:.1} | {p99:.1} | {refused:.1} | {lost:.1} | {critical:.2} |",
        round.kind.name(),
        100.0 * good / round.peak
    )?;
    Ok(())
}

/// What was promised, and what came of it.
fn verdict(round: &Round) -> Result<String> {
    let (quiet, over) = (round.phase(0), round.overloaded());
    let bound = TIMES * TAIL * quiet.p50;
    let mut text = format!(
        "\n## What it was to do\n\n\
         | | wanted | is |\n|---|---:|---:|\n\
         | in time a second, of the {:.0} of who asks in turn | 90 % | {:.0} % |\n",
        round.peak,
        100.0 * over.good / round.peak
    );
    writeln!(
        text,
        "| p99 of what is let in | {bound:.0} ms | {:.0} ms |",
        over.p99
    )?;
    writeln!(text, "| critical served | 99 % | {:.2} % |", over.critical)?;
    writeln!(
        text,
        "\nThe bound of p99 is {TIMES:.0} times the p50 of the server that is asked for a tenth ({:.1} ms), times the tail of its work: the p99 of \
         an exponential time is {TAIL} times its p50.\n\n![The limit in time](overload-limit.svg)",
        quiet.p50
    )?;
    Ok(text)
}
