//! The question: what do the slot, the meter, the deadlines and the metrics add to one request?
//!
//! The same service on the same bytes in memory, once by hyper alone and once through wharf's driver.
//! `cargo bench -p wharf-http` counts instructions with valgrind if it is there (the measure without
//! noise), and times a million requests of each, interleaved.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::convert::Infallible;
use std::process::Command;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use wharf_http::pool::config::PoolConfig;
use wharf_http::pool::{Endpoints, PoolName, Registry, ScopeLimits};
use wharf_http::serve_io;

/// Runs of each kind, interleaved.
const ROUNDS: usize = 7;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(kind @ ("hyper" | "wharf")) => {
            let count = arguments.get(2).and_then(|n| n.parse().ok()).unwrap_or(1);
            run(kind, count);
        }
        _ => compare(&arguments[0]),
    }
}

/// Instructions by valgrind, then time, of both.
fn compare(program: &str) {
    match (
        instructions(program, "hyper"),
        instructions(program, "wharf"),
    ) {
        (Some(hyper), Some(wharf)) => {
            let ratio = wharf / hyper;
            println!("instructions per request: hyper {hyper:.0}, wharf {wharf:.0}, {ratio:.3} x");
        }
        _ => println!("instructions: valgrind is not there, skipped"),
    }
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (kind, times) in ["hyper", "wharf"].into_iter().zip(&mut times) {
            let begun = Instant::now();
            run(kind, 100_000);
            times.push(begun.elapsed().as_nanos() / 100_000);
        }
    }
    for (kind, mut times) in ["hyper", "wharf"].into_iter().zip(times) {
        times.sort_unstable();
        let (least, median, most) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
        println!("ns per request: {kind} {median} ({least} to {most})");
    }
}

/// The difference between a long and a short run, so that the start does not count.
fn instructions(program: &str, kind: &str) -> Option<f64> {
    let count = |requests: u32| -> Option<f64> {
        let valgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let run = Command::new("valgrind")
            .args(valgrind)
            .args([program, kind, &requests.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8_lossy(&run.stderr).into_owned();
        let line = report.lines().find(|line| line.contains("Collected :"))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    Some((count(11_000)? - count(1_000)?) / 10_000.0)
}

fn run(kind: &str, requests: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (mut peer, ours) = duplex(64 * 1024);
        if kind == "hyper" {
            let service = hyper::service::service_fn(hello);
            let io = TokioIo::new(ours);
            let connection = hyper::server::conn::http1::Builder::new()
                .header_read_timeout(None)
                .serve_connection(io, service)
                .with_upgrades();
            tokio::task::spawn_local(async move { connection.await.ok() });
        } else {
            let registry = Registry::new(ScopeLimits::default());
            let name: PoolName = "bench/http".parse().expect("a name");
            let pool = registry
                .get_or_create(&name, PoolConfig::default())
                .expect("a pool");
            let address = "192.0.2.1:1000".parse().expect("an address");
            let slot = pool.reserve().expect("a slot");
            let service = tower::service_fn(hello);
            let served = serve_io(ours, slot, Endpoints::new(address, address), service, &pool);
            tokio::task::spawn_local(served.expect("let in"));
        }
        ask(&mut peer, requests).await;
    });
}

async fn ask(peer: &mut DuplexStream, requests: u32) {
    let mut buffer = [0; 1024];
    for _ in 0..requests {
        peer.write_all(REQUEST).await.expect("the server reads");
        let n = peer.read(&mut buffer).await.expect("the server answers");
        assert!(buffer[..n].ends_with(b"Hello, World!"));
    }
}

async fn hello<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(
        b"Hello, World!",
    ))))
}
