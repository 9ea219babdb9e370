//! Endpoints that are found while an upstream runs are asked, and those that were found last while nothing is.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::Sender;
use wharf_upstream::{
    Balance, DiscoveryState, EmptySet, EndpointSetup, Findings, FoundSet, SendError, Source,
    Upstream,
};

use crate::servers::{Server, ask, until, upstream};

/// A source that tells what a test says.
struct Told(mpsc::Receiver<Result<Vec<String>, &'static str>>);

type Tell = Sender<Result<Vec<String>, &'static str>>;

impl Source for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    async fn watch(mut self, findings: Findings) {
        while let Some(told) = self.0.recv().await {
            match told {
                Ok(endpoints) => findings.found(set(&endpoints)),
                Err(why) => findings.failed(&why),
            }
        }
    }
}

fn set(endpoints: &[String]) -> FoundSet {
    let endpoints = endpoints.iter().map(|it| {
        let address: wharf_upstream::EndpointAddress = it.parse().unwrap();
        EndpointSetup::from(address)
    });
    FoundSet {
        endpoints: endpoints.collect(),
        ..FoundSet::default()
    }
}

fn follow(upstream: &Upstream) -> Tell {
    let (tell, told) = mpsc::channel(8);
    upstream.follow(Told(told));
    tell
}

async fn in_state(upstream: &Upstream, state: DiscoveryState, endpoints: usize) {
    let what = format!("{} with {endpoints}", state.as_str());
    until(&what, || {
        let report = upstream.discovery().unwrap();
        (report.state, report.endpoints) == (state, endpoints)
    })
    .await;
}

/// Asks so often that every endpoint has its turn; who answered.
async fn answering(upstream: &Upstream) -> Vec<String> {
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(ask(upstream, "/").await.unwrap().1);
    }
    seen.sort();
    seen.dedup();
    seen
}

fn in_turn(configured: &[String]) -> Upstream {
    upstream(configured, |setup| {
        setup.settings.scheme = Some(wharf_upstream::Scheme::Http);
        setup.settings.balance = Balance::RoundRobin;
    })
}

#[tokio::test]
async fn what_is_found_is_asked_in_place_of_what_is_configured() {
    let (first, second, third) = (
        Server::good().await,
        Server::good().await,
        Server::good().await,
    );
    let upstream = in_turn(&[first.url("http")]);
    let tell = follow(&upstream);
    assert_eq!(answering(&upstream).await, [first.address.to_string()]);
    assert_eq!(upstream.discovery().unwrap().state, DiscoveryState::Waiting);

    tell.send(Ok(vec![second.url("http"), third.url("http")]))
        .await
        .unwrap();
    in_state(&upstream, DiscoveryState::Current, 2).await;
    let mut both = [second.address.to_string(), third.address.to_string()];
    both.sort();
    assert_eq!(answering(&upstream).await, both);

    tell.send(Ok(vec![third.url("http")])).await.unwrap();
    in_state(&upstream, DiscoveryState::Current, 1).await;
    assert_eq!(answering(&upstream).await, [third.address.to_string()]);

    upstream.unfollow();
    assert_eq!(answering(&upstream).await, [first.address.to_string()]);
    assert_eq!(upstream.discovery(), None);
}

#[tokio::test]
async fn the_last_set_is_kept_while_the_source_is_away_or_has_nothing() {
    let server = Server::good().await;
    let upstream = in_turn(&[]);
    let refused = ask(&upstream, "/").await.unwrap_err();
    assert!(matches!(refused, SendError::NoEndpoint), "{refused}");
    let tell = follow(&upstream);
    tell.send(Err("away")).await.unwrap();
    until("told", || upstream.discovery().unwrap().failures == 1).await;
    assert_eq!(upstream.discovery().unwrap().state, DiscoveryState::Waiting);

    tell.send(Ok(vec![server.url("http")])).await.unwrap();
    in_state(&upstream, DiscoveryState::Current, 1).await;
    for nothing in [Err("away"), Ok(Vec::new())] {
        tell.send(nothing).await.unwrap();
        in_state(&upstream, DiscoveryState::Stale, 1).await;
        assert_eq!(answering(&upstream).await, [server.address.to_string()]);
        tell.send(Ok(vec![server.url("http")])).await.unwrap();
        in_state(&upstream, DiscoveryState::Current, 1).await;
    }
    let report = upstream.discovery().unwrap();
    assert_eq!(
        (report.changes, report.failures, report.error),
        (1, 3, None)
    );
    // What stays is not begun anew.
    assert!(server.connections() <= 2, "{}", server.connections());
}

#[tokio::test]
async fn nobody_is_asked_where_that_is_what_an_empty_set_means() {
    let server = Server::good().await;
    let upstream = in_turn(&[]);
    let mut settings = upstream.settings();
    settings.when_empty = EmptySet::Take;
    upstream.apply(settings).unwrap();
    let tell = follow(&upstream);
    tell.send(Ok(vec![server.url("http")])).await.unwrap();
    in_state(&upstream, DiscoveryState::Current, 1).await;
    tell.send(Ok(Vec::new())).await.unwrap();
    in_state(&upstream, DiscoveryState::Current, 0).await;
    assert!(matches!(
        ask(&upstream, "/").await,
        Err(SendError::NoEndpoint)
    ));
}

#[tokio::test]
async fn another_source_begins_with_what_the_one_before_had_found() {
    let (first, second) = (Server::good().await, Server::good().await);
    let upstream = in_turn(&[]);
    let tell = follow(&upstream);
    tell.send(Ok(vec![first.url("http")])).await.unwrap();
    in_state(&upstream, DiscoveryState::Current, 1).await;
    let next = follow(&upstream);
    in_state(&upstream, DiscoveryState::Stale, 1).await;
    until("the first source has ended", || tell.is_closed()).await;
    assert_eq!(answering(&upstream).await, [first.address.to_string()]);
    next.send(Ok(vec![second.url("http")])).await.unwrap();
    in_state(&upstream, DiscoveryState::Current, 1).await;
    assert_eq!(answering(&upstream).await, [second.address.to_string()]);
    upstream.close(Duration::ZERO).await;
    assert!(next.is_closed());
}

#[tokio::test]
async fn a_found_set_of_thousands_is_cut_and_told() {
    let upstream = upstream(&[], |setup| {
        setup.settings.scheme = Some(wharf_upstream::Scheme::Http);
        setup.settings.pool.protocol.min_idle = None;
    });
    let tell = follow(&upstream);
    let many = (1..=5000).map(|port| format!("http://127.0.0.1:{port}"));
    tell.send(Ok(many.collect())).await.unwrap();
    in_state(&upstream, DiscoveryState::Current, 1024).await;
    let report = upstream.discovery().unwrap();
    assert_eq!(report.skipped, 3976);
    assert_eq!(upstream.endpoints().len(), 1024);
}

#[tokio::test]
async fn a_shortened_interval_is_heard_at_once() {
    let server = Server::good().await;
    let address = format!("http://localhost:{}", server.address.port());
    let upstream = upstream(&[address], |setup| {
        setup.settings.resolve_every = Some(Duration::from_hours(1));
    });
    let found = |upstream: &Upstream| {
        let endpoints = upstream.endpoints();
        endpoints.iter().all(|it| it.address.ip().is_some())
    };
    until("looked up", || found(&upstream)).await;
    // A name more, for which nobody waits an hour.
    let mut settings = upstream.settings();
    let other: wharf_upstream::EndpointAddress = "http://localhost:1".parse().unwrap();
    settings.endpoints.push(other.into());
    upstream.apply(settings).unwrap();
    until("looked up again", || {
        upstream.endpoints().len() > 1 && found(&upstream)
    })
    .await;
}
