//! A request whose answer is long in coming is sent to another endpoint too, within a budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use wharf_pool::Outcome;
use wharf_pool::config::Count;
use wharf_upstream::{Balance, SendBody, SendOptions, Upstream};

use crate::servers::{Server, get, head, until, upstream};

/// A server that answers with `status` after `pause`, and counts the connections that were given up meanwhile.
async fn answers(status: &'static str, pause: Duration) -> (Server, Arc<AtomicUsize>) {
    let given_up = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given_up);
    let server = Server::raw(move |_, mut socket| {
        let count = Arc::clone(&count);
        async move {
            while head(&mut socket).await {
                let mut byte = [0];
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = socket.read(&mut byte) => {
                        count.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                }
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                drop(socket.write_all(answer.as_bytes()).await);
            }
        }
    });
    (server.await, given_up)
}

const LONG: Duration = Duration::from_secs(20);

fn of(servers: &[&Server]) -> Upstream {
    let urls: Vec<_> = servers.iter().map(|it| it.url("http")).collect();
    upstream(&urls, |setup| {
        setup.settings.balance = Balance::RoundRobin;
    })
}

fn hedging() -> SendOptions {
    let mut options = SendOptions::default();
    options.hedge_after = Some(Duration::from_millis(50));
    options
}

fn hedges(upstream: &Upstream) -> (u64, u64) {
    let all = upstream.endpoints().into_iter().map(|it| it.metrics);
    all.fold((0, 0), |sum, it| (sum.0 + it.hedges, sum.1 + it.hedges_won))
}

#[tokio::test]
async fn the_first_answer_is_taken_and_the_other_request_given_up_without_blame() {
    let ((slow, given_up), (fast, _)) = (
        answers("200 OK", LONG).await,
        answers("200 OK", Duration::ZERO).await,
    );
    let upstream = of(&[&slow, &fast]);
    let begun = Instant::now();
    for _ in 0..8 {
        assert_eq!(
            upstream.send(get("/"), &hedging()).await.unwrap().status(),
            200
        );
    }
    assert!(begun.elapsed() < LONG);
    let hedged = hedges(&upstream);
    assert!(hedged.0 > 0 && hedged.0 == hedged.1, "{hedged:?}");
    until("they were given up", || {
        given_up.load(Ordering::SeqCst) as u64 == hedged.0
    })
    .await;
    let loser = &upstream.endpoints()[0];
    assert_eq!(
        (loser.failures, loser.metrics.ejections, loser.in_flight),
        (0, 0, 0)
    );
    let given_up = loser.metrics.requests_by_outcome.iter();
    let given_up: u64 = given_up
        .filter(|(outcome, _)| *outcome == Outcome::Cancelled)
        .map(|(_, count)| count)
        .sum();
    assert_eq!(given_up, hedged.0);
    // It is known to take longer than it did before it was asked.
    assert!(
        loser.latency >= Duration::from_millis(40),
        "{:?}",
        loser.latency
    );
}

#[tokio::test]
async fn who_is_outrun_is_not_slower_for_the_time_that_a_request_waited_here() {
    let ((busy, _), (fast, _)) = (
        answers("200 OK", Duration::from_secs(3)).await,
        answers("200 OK", Duration::ZERO).await,
    );
    let upstream = upstream(&[busy.url("http"), fast.url("http")], |setup| {
        setup.settings.balance = Balance::RoundRobin;
        setup.settings.pool.protocol.max_connections_per_endpoint = Count::new(1).unwrap();
    });
    let options = SendOptions::default();
    let answered = tokio::join!(
        async {
            // One to each in turn: the first has its only connection in use from here on.
            let one = upstream.send(get("/"), &options);
            let other = upstream.send(get("/"), &options);
            tokio::join!(one, other)
        },
        async {
            until("it is busy", || upstream.endpoints()[0].in_flight == 1).await;
            let before = upstream.endpoints()[0].latency;
            let until = Instant::now() + Duration::from_secs(3);
            while hedges(&upstream).1 == 0 {
                assert!(Instant::now() < until, "nobody outran it while it was busy");
                upstream.send(get("/"), &hedging()).await.unwrap();
            }
            (before, upstream.endpoints()[0].latency)
        }
    );
    let (before, after) = answered.1;
    assert!(after <= before, "{before:?} {after:?}");
    assert!(answered.0.0.is_ok() && answered.0.1.is_ok());
}

#[tokio::test]
async fn when_all_are_slow_the_budget_ends_it() {
    let ((one, _), (other, _)) = (
        answers("200 OK", Duration::from_secs(2)).await,
        answers("200 OK", Duration::from_secs(2)).await,
    );
    let upstream = of(&[&one, &other]);
    let options = hedging();
    let all = join_all((0..80).map(|_| upstream.send(get("/"), &options))).await;
    assert!(
        all.iter()
            .all(|it| it.as_ref().is_ok_and(|it| it.status() == 200))
    );
    // 30 in ten seconds, and one for each ten requests.
    let (given, _) = hedges(&upstream);
    assert!((30..=38).contains(&given), "{given}");
}

#[tokio::test]
async fn a_failure_does_not_win_against_an_answer_that_is_still_to_come() {
    for sick in ["503 No", "429 Later"] {
        let ((slow, _), (bad, _)) = (
            answers("200 OK", Duration::from_millis(500)).await,
            answers(sick, Duration::from_millis(200)).await,
        );
        let upstream = of(&[&slow, &bad]);
        for _ in 0..2 {
            assert_eq!(
                upstream.send(get("/"), &hedging()).await.unwrap().status(),
                200
            );
        }
        assert_eq!(hedges(&upstream).0, 2);
    }
}

#[tokio::test]
async fn what_is_not_safe_or_has_nobody_else_to_go_to_is_sent_once() {
    let ((one, _), (other, _)) = (
        answers("200 OK", Duration::from_millis(300)).await,
        answers("200 OK", Duration::from_millis(300)).await,
    );
    let both = of(&[&one, &other]);
    for method in ["POST", "PUT", "DELETE"] {
        let request = Request::builder().method(method).uri("/");
        let request = request.body(SendBody::default()).unwrap();
        assert_eq!(both.send(request, &hedging()).await.unwrap().status(), 200);
    }
    let alone = of(&[&one]);
    assert_eq!(
        alone.send(get("/"), &hedging()).await.unwrap().status(),
        200
    );
    assert_eq!((hedges(&both), hedges(&alone)), ((0, 0), (0, 0)));
}
