//! The question: what do the slot, the meter, the deadlines and the metrics add to one request?
//!
//! The same service on the same bytes in memory: by hyper alone, by hyper with its timer for heads, through
//! wharf's driver; and one router, by `axum::serve` and through wharf's driver. In HTTP/1 and in HTTP/2.
//! `cargo bench -p wharf-http` counts instructions with valgrind if it is there (the measure without noise),
//! and times 700,000 requests of each, interleaved.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::convert::Infallible;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use wharf_http::pool::{Endpoints, PoolName, Registry, ScopeLimits};
use wharf_http::{App, Protocol, serve_io};

/// Runs of each kind, interleaved.
const ROUNDS: usize = 7;

const REQUEST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

/// The same in HTTP/2: `:method`, `:scheme`, `:path` and `:authority`.
const FIELDS: &[u8] = b"\x82\x86\x04\x06/hello\x01\x0e127.0.0.1:8080";

/// What an HTTP/2 client begins with: the preface, SETTINGS, as much room as there can be.
const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
    \0\0\x04\x08\0\0\0\0\0\x7f\0\0\0";

/// Its acknowledgement of the server's SETTINGS.
const AGREED: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";

/// Who serves, and what is spoken.
type Kind<'a> = (&'a str, &'a str);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let at = |index: usize| arguments.get(index).map(String::as_str);
    if let (Some(server), Some(version)) = (at(1), at(2)) {
        let count = at(3).and_then(|n| n.parse().ok()).unwrap_or(1);
        run((server, version), count);
    } else {
        let program = &arguments[0];
        compare(program, "http1", &["hyper", "hyper-timer", "wharf"]);
        compare(program, "http1", &["axum", "wharf-axum"]);
        compare(program, "http2", &["hyper", "wharf"]);
    }
}

/// Instructions by valgrind, then time, of each server.
fn compare(program: &str, version: &str, servers: &[&str]) {
    let counted: Option<Vec<f64>> = servers
        .iter()
        .map(|server| instructions(program, (server, version)))
        .collect();
    if let Some(counted) = counted {
        for (server, count) in servers.iter().zip(&counted) {
            let ratio = count / counted[0];
            println!("{version}, instructions per request: {server} {count:.0}, {ratio:.3} x");
        }
    } else {
        println!("{version}, instructions: valgrind is not there, skipped");
    }
    let mut times = vec![Vec::new(); servers.len()];
    for _ in 0..ROUNDS {
        for (server, times) in servers.iter().zip(&mut times) {
            let begun = Instant::now();
            run((server, version), 100_000);
            times.push(begun.elapsed().as_nanos() / 100_000);
        }
    }
    for (server, mut times) in servers.iter().zip(times) {
        times.sort_unstable();
        let (least, median, most) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
        println!("{version}, ns per request: {server} {median} ({least} to {most})");
    }
}

/// The difference between a long and a short run, so that the start does not count.
fn instructions(program: &str, (server, version): Kind<'_>) -> Option<f64> {
    let count = |requests: u32| -> Option<f64> {
        let valgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let run = Command::new("valgrind")
            .args(valgrind)
            .args([program, server, version, &requests.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8_lossy(&run.stderr).into_owned();
        let line = report.lines().find(|line| line.contains("Collected :"))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    Some((count(11_000)? - count(1_000)?) / 10_000.0)
}

fn run(kind: Kind<'_>, requests: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (mut peer, ours) = duplex(64 * 1024);
        match kind {
            (server @ ("hyper" | "hyper-timer"), "http1") => {
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.header_read_timeout(None);
                if server == "hyper-timer" {
                    builder.timer(TokioTimer::new());
                    builder.header_read_timeout(Duration::from_secs(30));
                }
                let connection = builder
                    .serve_connection(TokioIo::new(ours), hyper::service::service_fn(hello))
                    .with_upgrades();
                tokio::task::spawn_local(async move { connection.await.ok() });
            }
            ("hyper", _) => {
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(ours), hyper::service::service_fn(hello));
                tokio::task::spawn_local(async move { connection.await.ok() });
            }
            ("axum", _) => {
                let served = axum::serve(Once(Some(ours)), router());
                tokio::task::spawn_local(async move { served.await.ok() });
            }
            ("wharf-axum", _) => by_wharf(ours, Protocol::Http, router()),
            (_, "http1") => by_wharf(ours, Protocol::Http, tower::service_fn(hello)),
            _ => by_wharf(ours, Protocol::Http2, tower::service_fn(hello)),
        }
        if kind.1 == "http1" {
            ask(&mut peer, requests).await;
        } else {
            ask_http2(&mut peer, requests).await;
        }
    });
}

fn by_wharf<S: App>(io: DuplexStream, protocol: Protocol, service: S) {
    let registry = Registry::new(ScopeLimits::default());
    let listener = "bench".parse().expect("a name");
    let name = PoolName::new(&listener, protocol.as_str()).expect("a name");
    let pool = registry.get_or_create(&name, protocol.defaults());
    let pool = pool.expect("a pool");
    let address = "192.0.2.1:1000".parse().expect("an address");
    let slot = pool.reserve().expect("a slot");
    let served = serve_io(io, slot, Endpoints::new(address, address), service, &pool);
    tokio::task::spawn_local(served.expect("let in"));
}

fn router() -> axum::Router {
    axum::Router::new().route("/hello", axum::routing::get(|| async { "Hello, World!" }))
}

/// A listener that accepts one connection.
struct Once(Option<DuplexStream>);

impl axum::serve::Listener for Once {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.take() {
            Some(io) => (io, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn ask(peer: &mut DuplexStream, requests: u32) {
    let mut buffer = [0; 1024];
    for _ in 0..requests {
        peer.write_all(REQUEST).await.expect("the server reads");
        let n = peer.read(&mut buffer).await.expect("the server answers");
        assert!(buffer[..n].ends_with(b"Hello, World!"));
    }
}

/// One request after another on one connection: HEADERS there, HEADERS and DATA back.
async fn ask_http2(peer: &mut DuplexStream, requests: u32) {
    peer.write_all(OPENING).await.expect("the server reads");
    let mut buffer = [0; 1024];
    assert!(peer.read(&mut buffer).await.is_ok_and(|n| n > 0));
    peer.write_all(AGREED).await.expect("the server reads");
    let length = u8::try_from(FIELDS.len()).expect("a short block");
    let mut request = vec![0, 0, length, 1, 5, 0, 0, 0, 0];
    request.extend(FIELDS);
    for n in 0..requests {
        request[5..9].copy_from_slice(&(2 * n + 1).to_be_bytes());
        peer.write_all(&request).await.expect("the server reads");
        loop {
            let n = peer.read(&mut buffer).await.expect("the server answers");
            assert!(n > 0, "the server has closed");
            if buffer[..n].ends_with(b"Hello, World!") {
                break;
            }
        }
    }
}

async fn hello<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(
        b"Hello, World!",
    ))))
}
