//! What is left of a server that is asked for twice what it can do?
//!
//! A handler computes for 2 ms on average (exponentially spread) and never waits; one worker serves it. Requests come in an open
//! loop, whatever has become of those before: at half of what the worker can do, at twice as much, then at four fifths. One of
//! ten is critical. An answer is good within 50 ms of when its request was due, for that is when somebody began to wait. Beside `axum::serve`: wharf without a limit, and with one.
//!
//! `cargo bench -p wharf-http --bench overload -- [seconds of each row, default 10] [only this one]`

#![expect(clippy::print_stdout, reason = "a table is what it makes")]

mod work;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use wharf_control::Random;
use wharf_control::overload::LatencyHistogram;

const GOOD: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(8);
const MOST_CONNECTIONS: usize = 1_000;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|it| it != "--bench");
    let first = arguments.next();
    if first.as_deref() == Some("serve") {
        return work::serve(&arguments.next().unwrap_or_default());
    }
    let seconds = first.and_then(|it| it.parse().ok()).unwrap_or(10);
    let runtime = Builder::new_current_thread().enable_all().build();
    let only = arguments.next();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(measure(seconds, only.as_deref()));
}

/// A server in a process of its own.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(kind: &str) -> Self {
        let program = std::env::current_exe().expect("it runs");
        let mut process = Command::new(program)
            .args(["serve", kind])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started again");
        let mut line = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.trim().parse().expect("an address");
        Self { process, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

async fn measure(seconds: u64, only: Option<&str>) {
    let length = Duration::from_secs(seconds);
    let server = Server::start("axum");
    let capacity = capacity(server.address).await;
    println!("one worker does {capacity:.0}/s");
    println!(
        "{:<14} {:>6} {:>9} {:>8} {:>8} {:>8} {:>11} {:>9}",
        "", "asked", "good/s", "p50 ms", "p99 ms", "refused", "critical", "lost"
    );
    let kinds = ["axum", "wharf", "wharf, limit"].into_iter();
    let wanted = |kind: &&str| only.is_none_or(|only| *kind == only);
    for kind in kinds.filter(wanted) {
        let server = Server::start(kind);
        for times in [0.5, 2.0, 0.8] {
            // What it takes to settle is not counted, and is the same for all.
            load(server.address, times * capacity, SETTLE).await;
            let seen = load(server.address, times * capacity, length).await;
            seen.print(kind, times, length);
        }
    }
}

/// How many a second are answered to four that ask one after the other.
async fn capacity(address: SocketAddr) -> f64 {
    let mut askers = JoinSet::new();
    let end = Instant::now() + Duration::from_secs(3);
    for _ in 0..4 {
        askers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let mut answers = 0;
            while Instant::now() < end && ask(&mut stream, "/work").await == Some(200) {
                answers += 1;
            }
            answers
        });
    }
    let answers: u32 = askers.join_all().await.into_iter().sum();
    f64::from(answers) / 3.0
}

#[derive(Default)]
struct Seen {
    asked: u32,
    good: u32,
    refused: u32,
    lost: u32,
    critical: (u32, u32),
    admitted: LatencyHistogram,
}

impl Seen {
    fn print(&self, kind: &str, times: f64, length: Duration) {
        let per_second = |n: u32| f64::from(n) / length.as_secs_f64();
        let millis = |part| self.admitted.quantile(part).as_secs_f64() * 1e3;
        let percent = |n: u32, of: u32| 100.0 * f64::from(n) / f64::from(of.max(1));
        println!(
            "{:<14} {times:>5}x {:>9.0} {:>8.1} {:>8.1} {:>7.1}% {:>10.2}% {:>8.1}%",
            kind,
            per_second(self.good),
            millis(0.5),
            millis(0.99),
            percent(self.refused, self.asked),
            percent(self.critical.1, self.critical.0),
            percent(self.lost, self.asked),
        );
    }
}

/// Asks so often, whatever becomes of it.
async fn load(address: SocketAddr, rate: f64, length: Duration) -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let idle = Arc::new(Mutex::new(Vec::new()));
    let (mut random, mut requests) = (Random::new(1), JoinSet::new());
    let (mut due, end) = (Instant::now(), Instant::now() + length);
    while due < end {
        sleep_until(due).await;
        let path = if random.unit() < 0.1 { "/pay" } else { "/work" };
        let (seen, idle) = (Arc::clone(&seen), Arc::clone(&idle));
        let crowd = requests.len();
        requests.spawn(async move {
            let connection = idle.lock().expect("it is whole").pop();
            let answer = async {
                let mut stream = match connection {
                    Some(stream) => stream,
                    None if crowd < MOST_CONNECTIONS => TcpStream::connect(address).await.ok()?,
                    None => return None,
                };
                let status = ask(&mut stream, path).await?;
                idle.lock().expect("it is whole").push(stream);
                Some(status)
            };
            let status = timeout(PATIENCE, answer).await.ok().flatten();
            let took = due.elapsed();
            let mut seen = seen.lock().expect("it is whole");
            seen.asked += 1;
            let critical = path == "/pay";
            seen.critical.0 += u32::from(critical);
            match status {
                Some(200) => {
                    seen.good += u32::from(took <= GOOD);
                    seen.critical.1 += u32::from(critical);
                    seen.admitted.add(took);
                }
                Some(_) => seen.refused += 1,
                None => seen.lost += 1,
            }
        });
        while requests.try_join_next().is_some() {}
        due += Duration::from_secs_f64(-(1.0 - random.unit()).ln() / rate);
    }
    requests.join_all().await;
    std::mem::take(&mut *seen.lock().expect("it is whole"))
}

/// One request, and the status of its answer.
async fn ask(stream: &mut TcpStream, path: &str) -> Option<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::with_capacity(512);
    // Its body is empty or one byte, which comes with the head.
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}
