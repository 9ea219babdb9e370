//! Whom a deadline that has passed is held against, and what becomes of a probe that nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use wharf_upstream::{Balance, SendOptions, Upstream};

use crate::servers::{Server, ask, get, head, upstream};

const WELL: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;

/// A server that is in one mood or another.
async fn moody(mood: &Arc<AtomicU8>) -> Server {
    let mood = Arc::clone(mood);
    Server::raw(move |_, mut socket| {
        let mood = Arc::clone(&mood);
        async move {
            while head(&mut socket).await {
                let status = match mood.load(Ordering::SeqCst) {
                    WELL => "200 OK",
                    FAILS => "503 No",
                    _ => std::future::pending().await,
                };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                drop(socket.write_all(answer.as_bytes()).await);
            }
        }
    })
    .await
}

fn within(millis: u64) -> SendOptions {
    let mut options = SendOptions::default();
    options.deadline = Some(Instant::now() + Duration::from_millis(millis));
    options
}

fn state(upstream: &Upstream) -> &'static str {
    upstream.endpoints()[0].state.as_str()
}

#[tokio::test]
async fn an_endpoint_that_hangs_behind_deadlines_is_left_alone() {
    let (hung, good) = (
        moody(&Arc::new(AtomicU8::new(HANGS))).await,
        Server::good().await,
    );
    let upstream = upstream(&[hung.url("http"), good.url("http")], |setup| {
        setup.settings.balance = Balance::RoundRobin;
    });
    let begun = Instant::now();
    while state(&upstream) != "ejected" {
        drop(upstream.send(get("/"), &within(100)).await);
        assert!(begun.elapsed() < Duration::from_mins(1), "never ejected");
    }
    for _ in 0..10 {
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn a_deadline_too_short_for_anybody_is_held_against_nobody() {
    let server = Server::good().await;
    let upstream = upstream(&[server.url("h2c")], |_| {});
    // How long it usually takes is learnt from this one.
    assert_eq!(ask(&upstream, "/?3000").await.unwrap().0, 200);
    let short = (0..20).map(|_| async { upstream.send(get("/?3000"), &within(20)).await });
    for answered in join_all(short).await {
        // On a busy machine there may not even be a connection by then.
        let kind = answered.unwrap_err().kind();
        assert!(["deadline", "wait_timeout"].contains(&kind), "{kind}");
    }
    let endpoint = &upstream.endpoints()[0];
    assert_eq!((endpoint.failures, endpoint.metrics.ejections), (0, 0));
}

/// An upstream whose first endpoint is ejected for failures, and may be tried again at once.
async fn ejected(mood: &Arc<AtomicU8>) -> (Server, Server, Upstream) {
    mood.store(FAILS, Ordering::SeqCst);
    let (bad, good) = (moody(mood).await, Server::good().await);
    let upstream = upstream(&[bad.url("http"), good.url("http")], |setup| {
        setup.settings.balance = Balance::RoundRobin;
        setup.settings.outlier.base_ejection = Duration::from_millis(100);
        setup.settings.outlier.max_ejection = Duration::from_millis(100);
    });
    for _ in 0..60 {
        drop(ask(&upstream, "/").await);
        if state(&upstream) == "ejected" {
            break;
        }
    }
    assert_eq!(state(&upstream), "ejected");
    tokio::time::sleep(Duration::from_millis(300)).await;
    (bad, good, upstream)
}

#[tokio::test]
async fn a_probe_whose_caller_leaves_makes_room_for_the_next() {
    let mood = Arc::default();
    let (_bad, _good, upstream) = ejected(&mood).await;
    mood.store(HANGS, Ordering::SeqCst);
    // One of them is the probe; neither caller waits for long, and no deadline says so.
    for _ in 0..4 {
        let options = SendOptions::default();
        drop(
            timeout(
                Duration::from_millis(200),
                upstream.send(get("/"), &options),
            )
            .await,
        );
    }
    mood.store(WELL, Ordering::SeqCst);
    let begun = Instant::now();
    while state(&upstream) != "ready" {
        assert_eq!(ask(&upstream, "/").await.unwrap().0, 200);
        assert!(begun.elapsed() < Duration::from_secs(5), "not asked again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
