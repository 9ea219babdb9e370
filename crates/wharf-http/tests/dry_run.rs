//! A deadline on a dry run passes, is told of once, and ends nothing.

use std::time::Duration;

use wharf_http::pool::config::{Count, Limit};
use wharf_http::pool::{CloseReason, DryRunReason};

use crate::support::{Config, Server, millis};

/// A server with all of these limits on a dry run.
async fn rehearsing(limits: &[Limit], change: impl FnOnce(&mut Config)) -> Server {
    Server::with(|c| {
        change(c);
        c.common.dry_run = limits.iter().copied().collect();
    })
    .await
}

/// What the limits would have done.
fn rehearsed(server: &Server) -> Vec<(DryRunReason, u64)> {
    let mut all = server.pool().metrics().dry_run_by_reason;
    all.retain(|(_, n)| *n > 0);
    all
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test]
async fn an_idle_connection_is_told_of_once_and_served_on() {
    let limits = [Limit::KeepAliveTimeout];
    let server = rehearsing(&limits, |c| c.common.keep_alive_timeout = millis(200)).await;
    let mut peer = server.connect().await;
    for _ in 0..3 {
        assert_eq!(peer.get("/hello").await.status, 200);
        pause(600).await;
    }
    assert_eq!(rehearsed(&server), [(DryRunReason::Idle, 1)]);
    assert_eq!(server.pool().active(), 1);
}

#[tokio::test]
async fn a_change_of_the_settings_begins_anew_and_ends_the_dry_run_for_who_is_there() {
    let limits = [Limit::KeepAliveTimeout];
    let mut server = rehearsing(&limits, |c| c.common.keep_alive_timeout = millis(200)).await;
    let mut peer = server.connect().await;
    assert_eq!(peer.get("/hello").await.status, 200);
    pause(600).await;
    let mut config = (*server.pool().config()).clone();
    config.common.dry_run = [].into_iter().collect();
    server.pool().set_config(config).expect("it is usable");
    let _ = peer.closed(millis(3000)).await;
    assert_eq!(server.next_reason().await, CloseReason::Idle);
}

#[tokio::test]
async fn a_body_and_a_handler_may_take_their_time() {
    let limits = [Limit::RequestTimeout, Limit::StreamIdleTimeout];
    let server = rehearsing(&limits, |c| {
        c.common.min_data_rate = None;
        c.common.request_timeout = Some(millis(300));
        c.common.stream_idle_timeout = Some(millis(300));
    })
    .await;
    let mut peer = server.connect().await;
    assert_eq!(peer.get("/slow/800").await.status, 200);
    peer.send("POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    pause(800).await;
    peer.send("def").await;
    assert_eq!(peer.response().await.status, 200);
    let expected = [
        (DryRunReason::RequestTimeout, 1),
        (DryRunReason::StreamIdle, 1),
    ];
    assert_eq!(rehearsed(&server), expected);
}

#[tokio::test]
async fn a_request_that_allows_its_handler_more_would_not_have_ended() {
    let limits = [Limit::RequestTimeout];
    let server = rehearsing(&limits, |c| c.common.request_timeout = Some(millis(200))).await;
    let mut peer = server.connect().await;
    assert_eq!(peer.get("/patient/700").await.status, 200);
    assert_eq!(rehearsed(&server), []);
}

#[tokio::test]
async fn age_and_number_of_requests_are_no_end() {
    let limits = [Limit::MaxAge, Limit::MaxRequests];
    let server = rehearsing(&limits, |c| {
        c.common.max_age = Some(millis(300));
        c.common.max_requests = Count::new(2);
    })
    .await;
    let mut peer = server.connect().await;
    for _ in 0..4 {
        let response = peer.get("/hello").await;
        assert_eq!((response.status, response.is_last()), (200, false));
        pause(200).await;
    }
    let expected = [(DryRunReason::MaxAge, 1), (DryRunReason::MaxRequests, 1)];
    assert_eq!(rehearsed(&server), expected);
}
