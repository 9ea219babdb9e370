//! The question: what does the HTTP/2 meter add to each frame?
//!
//! The frames of unary calls and of a download, as they cross the meter both ways, in one piece for
//! each read and write. `cargo bench -p wharf-http --bench frames`.

#![expect(clippy::print_stdout, reason = "it is a program")]
#![allow(
    dead_code,
    unused_imports,
    reason = "the modules come with their tests, and a part of them is used"
)]

use std::hint::black_box;

use tokio::time::Instant;
use wharf_control::Timestamp;
use wharf_testkit::http2::PREFACE;

use http2::meter::{Limits, Meter};

#[path = "../src/http2"]
mod http2 {
    pub(crate) mod meter;
    #[cfg(test)]
    mod oracle;
}

/// Runs of each kind; the median is told.
const ROUNDS: usize = 9;

fn main() {
    report("unary calls, one at a time", || calls(1, 20_000));
    report("unary calls, 100 at a time", || calls(100, 200));
    report("a download of 16 KiB frames, two updates each", download);
    report("PINGs, 16 in each piece", pings);
}

fn report(what: &str, run: impl Fn() -> (u128, u32)) {
    let mut times: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let (nanos, frames) = run();
            nanos * 10 / u128::from(frames)
        })
        .collect();
    times.sort_unstable();
    let (least, median) = (times[0], times[ROUNDS / 2]);
    let tenths = |time: u128| format!("{}.{}", time / 10, time % 10);
    println!(
        "{what}: {} ns per frame (least {})",
        tenths(median),
        tenths(least)
    );
}

/// Calls of HEADERS and DATA both ways, trailers and `WINDOW_UPDATE`, `at_once` of them open.
fn calls(at_once: u32, batches: u32) -> (u128, u32) {
    let mut script = Vec::new();
    for batch in 0..batches {
        let streams = (0..at_once).map(|n| 1 + 2 * (batch * at_once + n));
        for stream in streams.clone() {
            let asked = [
                frame(1, 4, stream, 40),
                frame(0, 1, stream, 20),
                frame(8, 0, 0, 4),
            ];
            script.push((true, asked.concat()));
        }
        for stream in streams {
            let answered = [
                frame(1, 4, stream, 40),
                frame(0, 0, stream, 20),
                frame(1, 5, stream, 10),
            ];
            script.push((false, answered.concat()));
        }
    }
    let mut meter = opened();
    let begun = Instant::now();
    for (tick, part) in (0..).zip(script.chunks(10_000)) {
        let now = Timestamp::from_nanos(tick * 100_000_000);
        for (asked, bytes) in part {
            if *asked {
                meter.received(black_box(bytes), now).expect("honest");
            } else {
                meter.sent(black_box(bytes), now);
            }
        }
    }
    (begun.elapsed().as_nanos(), at_once * batches * 6)
}

fn download() -> (u128, u32) {
    let mut meter = opened();
    meter
        .received(&frame(1, 5, 1, 40), Timestamp::ZERO)
        .expect("honest");
    let data = frame(0, 0, 1, 16_384);
    let updates = [frame(8, 0, 0, 4), frame(8, 0, 1, 4)].concat();
    let begun = Instant::now();
    for _ in 0..200_000 {
        meter.sent(black_box(&data), Timestamp::ZERO);
        meter
            .received(black_box(&updates), Timestamp::ZERO)
            .expect("honest");
    }
    (begun.elapsed().as_nanos(), 600_000)
}

fn pings() -> (u128, u32) {
    let mut meter = opened();
    let pings = frame(6, 0, 0, 8).repeat(16);
    let begun = Instant::now();
    for second in 0..50_000 {
        let now = Timestamp::from_nanos(second * 1_000_000_000);
        meter.received(black_box(&pings), now).expect("honest");
    }
    (begun.elapsed().as_nanos(), 50_000 * 16)
}

fn opened() -> Meter {
    let mut meter = Meter::new(&Limits::default(), Timestamp::ZERO);
    let opening = [PREFACE, &frame(4, 0, 0, 12)[..]].concat();
    meter.received(&opening, Timestamp::ZERO).expect("honest");
    meter.sent(&frame(4, 0, 0, 12), Timestamp::ZERO);
    meter
}

fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
    wharf_testkit::http2::frame(kind, flags, stream, &vec![0; length])
}
