//! The question: what do the slot, the meter, the deadlines and the metrics add to one request?
//!
//! The same service on the same bytes in memory: by hyper alone, by hyper with its timer for heads, through
//! wharf's driver; and one router, by `axum::serve` and through wharf's driver. In HTTP/1 and in HTTP/2.
//! `cargo bench -p wharf-http` counts instructions with valgrind if it is there (the measure without noise),
//! and times 700,000 requests of each, interleaved.

#![expect(clippy::print_stdout, reason = "it is a program")]

use std::convert::Infallible;
use std::process::{Command, ExitCode};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use wharf_http::pool::{Endpoints, Pool, PoolName, Registry, ScopeLimits};
use wharf_http::{App, HttpConnection, Protocol, serve_io};

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

/// The last of its connection, which is made for it.
const LAST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n";

/// Who serves, and what is done: requests of HTTP/1 or of HTTP/2 on one connection, or a connection for each.
type Kind<'a> = (&'a str, &'a str);

/// So many instructions wharf may take, in parts of what hyper takes beside it: what it does, and 2 % for
/// another compiler or another libc. If a change is worth more, say in its commit what for, and write here
/// what it takes then; if it takes less, write that.
const MOST: [(&str, f64); 3] = [("http1", 1.53), ("http2", 1.41), ("fresh", 1.83)];

/// `cargo bench -p wharf-http --bench request`, and with `-- check` behind it only what holds.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let at = |index: usize| arguments.get(index).map(String::as_str);
    let program = &arguments[0];
    match (at(1), at(2), at(3)) {
        (Some(server), Some(what), Some(count)) => {
            run((server, what), count.parse().expect("a number"));
        }
        (Some("check"), ..) => return check(program),
        _ => {
            compare(program, "http1", &["hyper", "hyper-timer", "wharf"]);
            compare(program, "http1", &["axum", "wharf-axum"]);
            compare(program, "http2", &["hyper", "wharf"]);
            compare(program, "fresh", &["hyper", "wharf"]);
        }
    }
    ExitCode::SUCCESS
}

/// Whether wharf takes no more instructions than it may.
fn check(program: &str) -> ExitCode {
    let mut is_over = false;
    for (what, most) in MOST {
        let counted = ["hyper", "wharf"].map(|server| instructions(program, (server, what)));
        let [Some(hyper), Some(wharf)] = counted else {
            println!("valgrind does not count: is it installed?");
            return ExitCode::FAILURE;
        };
        let ratio = wharf / hyper;
        println!(
            "{what}: {wharf:.0} instructions, {ratio:.3} x hyper's {hyper:.0}, at most {most}"
        );
        is_over |= ratio > most * 1.02;
    }
    if is_over {
        println!("That is too many. `MOST` in benches/request.rs says what to do.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Instructions by valgrind, then time, of each server.
fn compare(program: &str, what: &str, servers: &[&str]) {
    let counted: Option<Vec<f64>> = servers
        .iter()
        .map(|server| instructions(program, (server, what)))
        .collect();
    if let Some(counted) = counted {
        for (server, count) in servers.iter().zip(&counted) {
            let ratio = count / counted[0];
            println!("{what}, instructions per request: {server} {count:.0}, {ratio:.3} x");
        }
    } else {
        println!("{what}, instructions: valgrind is not there, skipped");
    }
    let mut times = vec![Vec::new(); servers.len()];
    for _ in 0..ROUNDS {
        for (server, times) in servers.iter().zip(&mut times) {
            let begun = Instant::now();
            run((server, what), 100_000);
            times.push(begun.elapsed().as_nanos() / 100_000);
        }
    }
    for (server, mut times) in servers.iter().zip(times) {
        times.sort_unstable();
        let (least, median, most) = (times[0], times[ROUNDS / 2], times[ROUNDS - 1]);
        println!("{what}, ns per request: {server} {median} ({least} to {most})");
    }
}

/// The difference between a long and a short run, so that the start does not count.
fn instructions(program: &str, (server, what): Kind<'_>) -> Option<f64> {
    let count = |requests: u32| -> Option<f64> {
        let valgrind = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let run = Command::new("valgrind")
            .args(valgrind)
            .args([program, server, what, &requests.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8_lossy(&run.stderr).into_owned();
        let line = report.lines().find(|line| line.contains("Collected :"))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    Some((count(11_000)? - count(1_000)?) / 10_000.0)
}

fn run((server, what): Kind<'_>, requests: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let protocol = if what == "http2" {
            Protocol::Http2
        } else {
            Protocol::Http
        };
        let registry = Registry::new(ScopeLimits::default());
        let listener = "bench".parse().expect("a name");
        let name = PoolName::new(&listener, protocol.as_str()).expect("a name");
        let pool = registry.get_or_create(&name, protocol.defaults());
        let pool = pool.expect("a pool");
        let serve = |io| serve(&pool, (server, what), io);
        if what == "fresh" {
            for _ in 0..requests {
                let (mut peer, ours) = duplex(64 * 1024);
                serve(ours);
                ask(&mut peer, LAST).await;
                drop(peer);
                tokio::task::yield_now().await;
            }
            return;
        }
        let (mut peer, ours) = duplex(64 * 1024);
        serve(ours);
        if what == "http1" {
            for _ in 0..requests {
                ask(&mut peer, REQUEST).await;
            }
        } else {
            ask_http2(&mut peer, requests).await;
        }
    });
}

fn serve(pool: &Pool<HttpConnection>, kind: Kind<'_>, io: DuplexStream) {
    match kind {
        ("hyper", "http2") => {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(io), hyper::service::service_fn(hello));
            tokio::task::spawn_local(async move { connection.await.ok() });
        }
        (server @ ("hyper" | "hyper-timer"), _) => {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.header_read_timeout(None);
            if server == "hyper-timer" {
                builder.timer(TokioTimer::new());
                builder.header_read_timeout(Duration::from_secs(30));
            }
            let connection = builder
                .serve_connection(TokioIo::new(io), hyper::service::service_fn(hello))
                .with_upgrades();
            tokio::task::spawn_local(async move { connection.await.ok() });
        }
        ("axum", _) => {
            let served = axum::serve(Once(Some(io)), router());
            tokio::task::spawn_local(async move { served.await.ok() });
        }
        ("wharf-axum", _) => by_wharf(pool, io, router()),
        _ => by_wharf(pool, io, tower::service_fn(hello)),
    }
}

fn by_wharf<S: App>(pool: &Pool<HttpConnection>, io: DuplexStream, service: S) {
    let address = "192.0.2.1:1000".parse().expect("an address");
    let slot = pool.reserve().expect("a slot");
    let served = serve_io(io, slot, Endpoints::new(address, address), service, pool);
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

async fn ask(peer: &mut DuplexStream, request: &[u8]) {
    let mut buffer = [0; 1024];
    peer.write_all(request).await.expect("the server reads");
    let n = peer.read(&mut buffer).await.expect("the server answers");
    assert!(buffer[..n].ends_with(b"Hello, World!"));
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
