//! Requests that begin when they are to begin, each answered, turned away or given up.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout_at;

use super::seen::{Answer, Seen};
use crate::gateway::load::pace;

/// Nobody waits longer: it bounds how many requests there are at once, too.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// One of so many is critical.
pub(super) const CRITICAL: usize = 10;

/// A head is at most this long.
const HEAD: usize = 4_096;

/// Makes the load, and waits until all have ended.
pub(super) fn load(to: SocketAddr, arrivals: Vec<Duration>) -> Result<Vec<Seen>> {
    let (due, mut told) = mpsc::channel(arrivals.len().max(1));
    let begun = Instant::now();
    let pacer = thread::spawn(move || pace(begun, &arrivals, &due));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let idle = Rc::new(RefCell::new(Vec::new()));
    let into = Rc::clone(&seen);
    block_on(async move {
        let mut nth = 0;
        let mut requests = JoinSet::new();
        while let Some(intended) = told.recv().await {
            nth += 1;
            let critical = nth % CRITICAL == 0;
            let (into, idle) = (Rc::clone(&into), Rc::clone(&idle));
            requests.spawn_local(async move {
                let path = if critical { "/pay" } else { "/work" };
                let end = begun + intended + PATIENCE;
                let asked = timeout_at(end.into(), ask_one_of(&idle, to, path)).await;
                let answer = match asked.ok().flatten() {
                    Some(200) => Answer::Served,
                    Some(_) => Answer::Refused,
                    None => Answer::Lost,
                };
                into.borrow_mut().push(Seen {
                    intended,
                    latency: begun.elapsed().saturating_sub(intended),
                    critical,
                    answer,
                });
            });
            while requests.try_join_next().is_some() {}
        }
        requests.join_all().await;
    })?;
    pacer.join().ok().context("the pacer has panicked")??;
    Ok(seen.take())
}

/// How many a second are answered to so many that ask one after the other.
pub(super) fn in_turn(to: SocketAddr, askers: usize, lasting: Duration) -> Result<f64> {
    let end = Instant::now() + lasting;
    let answers = block_on(async move {
        let mut all = JoinSet::new();
        for _ in 0..askers {
            all.spawn_local(async move {
                let mut answers = 0;
                let Ok(mut stream) = TcpStream::connect(to).await else {
                    return answers;
                };
                while Instant::now() < end && ask(&mut stream, "/work").await == Some(200) {
                    answers += 1;
                }
                answers
            });
        }
        all.join_all().await.into_iter().sum::<u32>()
    })?;
    Ok(f64::from(answers) / lasting.as_secs_f64())
}

fn block_on<T>(doing: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(LocalSet::new().run_until(doing)))
}

/// Over a connection that is idle, or one more. One on which a request was given up is closed.
async fn ask_one_of(idle: &RefCell<Vec<TcpStream>>, to: SocketAddr, path: &str) -> Option<u16> {
    let kept = idle.borrow_mut().pop();
    let mut stream = match kept {
        Some(stream) => stream,
        None => TcpStream::connect(to).await.ok()?,
    };
    let status = ask(&mut stream, path).await?;
    idle.borrow_mut().push(stream);
    Some(status)
}

/// One request, and the status of its answer, which is read to its end.
pub(super) async fn ask(stream: &mut TcpStream, path: &str) -> Option<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::with_capacity(512);
    let end = loop {
        if let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") {
            break end + 4;
        }
        if answer.len() > HEAD || stream.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    };
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let length = length(head)?;
    while answer.len() < end + length {
        if stream.read_buf(&mut answer).await.ok()? == 0 {
            return None;
        }
    }
    Some(status)
}

/// How long the body is: all that are asked say so.
fn length(head: &str) -> Option<usize> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next()?.1.trim().parse().ok()
}
