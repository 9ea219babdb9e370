//! Every deadline ends its connection at its time, for its own reason, on every request.

use std::time::Duration;
use wharf_http::HttpSettings;

use wharf_http::pool::CloseReason;
use wharf_http::pool::config::{ByteRate, ByteSize, Count};
use wharf_testkit::Closed;
use wharf_testkit::http1::hostile;

use crate::support::{Config, Server, millis};

/// A deadline may be a tick or two late, and the machine may be busy; it is never early.
fn on_time(took: Duration, limit: Duration) {
    assert!(
        took >= limit,
        "closed after {took:?}, before its limit of {limit:?}"
    );
    assert!(
        took <= limit + millis(700),
        "closed after {took:?}, long after {limit:?}"
    );
}

#[tokio::test]
async fn a_silent_client_has_the_connection_timeout() {
    let mut server = Server::with(|c| c.common.connection_timeout = millis(400)).await;
    let mut peer = server.connect().await;
    let (how, took) = peer.closed(millis(3000)).await;
    assert_eq!(how, Closed::End);
    on_time(took, millis(400));
    assert!(
        peer.received().is_empty(),
        "nothing came, so nothing is answered"
    );
    assert_eq!(server.next_reason().await, CloseReason::ConnectionTimeout);
}

#[tokio::test]
async fn half_a_request_line_has_the_headers_timeout_and_is_told() {
    let mut server = Server::with(|c| c.common.headers_timeout = millis(400)).await;
    let mut peer = server.connect().await;
    peer.send(hostile::HALF_A_LINE).await;
    let (_, took) = peer.closed(millis(3000)).await;
    on_time(took, millis(400));
    assert!(peer.received().starts_with(b"HTTP/1.1 408 "));
    assert_eq!(server.next_reason().await, CloseReason::HeadersTimeout);
}

#[tokio::test]
async fn a_dripping_head_is_cut_at_the_same_time_on_the_first_and_the_second_request() {
    let mut server = Server::with(|c| c.common.headers_timeout = millis(600)).await;
    for requests_before in 0..2 {
        let mut peer = server.connect().await;
        for _ in 0..requests_before {
            assert_eq!(peer.get("/hello").await.status, 200);
        }
        let begun = tokio::time::Instant::now();
        hostile::drip_a_head(&mut peer, millis(50)).await;
        let _ = peer.closed(millis(3000)).await;
        on_time(begun.elapsed(), millis(600));
        assert!(
            peer.received().starts_with(b"HTTP/1.1 408 "),
            "{requests_before} before"
        );
        assert_eq!(server.next_reason().await, CloseReason::HeadersTimeout);
    }
}

#[tokio::test]
async fn a_body_slower_than_the_minimum_rate_is_cut_after_the_grace() {
    let mut server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    hostile::drip_a_body(&mut peer, "/length", millis(250)).await;
    let (_, took) = peer.closed(millis(3000)).await;
    on_time(took, millis(5000));
    assert!(peer.received().starts_with(b"HTTP/1.1 408 "));
    assert_eq!(server.next_reason().await, CloseReason::SlowRequest);
}

#[tokio::test]
async fn a_body_that_stops_has_the_stream_idle_timeout() {
    let mut server = Server::with(|c| {
        c.common.min_data_rate = None;
        c.common.stream_idle_timeout = Some(millis(500));
    })
    .await;
    let mut peer = server.connect().await;
    hostile::part_of_a_body(&mut peer, "/length", b"abc").await;
    let (_, took) = peer.closed(millis(3000)).await;
    on_time(took, millis(500));
    assert!(peer.received().starts_with(b"HTTP/1.1 408 "));
    assert_eq!(server.next_reason().await, CloseReason::StreamIdle);
}

#[tokio::test]
async fn a_reader_that_stops_has_the_stream_idle_timeout() {
    let mut server = Server::with(|c| {
        c.common.stream_idle_timeout = Some(millis(500));
    })
    .await;
    let mut peer = hostile::ask_and_read_nothing(server.address, "/bytes/50000000").await;
    assert_eq!(server.next_reason().await, CloseReason::StreamIdle);
    let (_, took) = peer.closed(millis(3000)).await;
    on_time(took, millis(500));
}

#[tokio::test]
async fn a_reader_slower_than_the_minimum_rate_is_cut_after_the_grace() {
    let mut server =
        Server::with(|c| c.common.min_data_rate = Some(ByteRate::per_second(1 << 30))).await;
    let mut peer = hostile::ask_and_read_nothing(server.address, "/bytes/50000000").await;
    let begun = tokio::time::Instant::now();
    assert_eq!(server.next_reason().await, CloseReason::SlowReader);
    on_time(begun.elapsed(), millis(5000));
    let _ = peer.closed(millis(3000)).await;
}

#[tokio::test]
async fn an_idle_connection_has_the_keep_alive_timeout_after_its_last_answer() {
    let mut server = Server::with(|c| c.common.keep_alive_timeout = millis(600)).await;
    let mut peer = server.connect().await;
    assert_eq!(peer.get("/hello").await.status, 200);
    tokio::time::sleep(millis(450)).await;
    // Before the answer: the server is at its end with it earlier than we are.
    let begun = tokio::time::Instant::now();
    assert_eq!(
        peer.get("/hello").await.status,
        200,
        "a request before the limit is served"
    );
    let (how, _) = peer.closed(millis(3000)).await;
    assert_eq!(how, Closed::End);
    on_time(begun.elapsed(), millis(600));
    assert_eq!(server.next_reason().await, CloseReason::Idle);
}

#[tokio::test]
async fn a_slow_handler_is_answered_for_with_504() {
    let mut server = Server::with(|c| c.common.request_timeout = Some(millis(400))).await;
    let mut peer = server.connect().await;
    let begun = tokio::time::Instant::now();
    let response = peer.get("/slow/60000").await;
    on_time(begun.elapsed(), millis(400));
    assert_eq!((response.status, response.is_last()), (504, true));
    let _ = peer.closed(millis(3000)).await;
    assert_eq!(server.next_reason().await, CloseReason::RequestTimeout);
}

#[tokio::test]
async fn a_request_may_be_given_all_the_time_it_likes() {
    let server = Server::with(|c| c.common.request_timeout = Some(millis(300))).await;
    let mut peer = server.connect().await;
    assert_eq!(peer.get("/patient/1200").await.text(), "patient");
}

#[tokio::test]
async fn a_quiet_response_is_not_a_silent_peer() {
    let server = Server::with(|c| {
        c.common.stream_idle_timeout = Some(millis(300));
        c.common.keep_alive_timeout = millis(300);
        c.common.headers_timeout = millis(300);
        c.common.connection_timeout = millis(300);
    })
    .await;
    let mut peer = server.connect().await;
    let response = peer.get("/drip/800/3").await;
    assert_eq!(response.text(), "drip\ndrip\ndrip\n");
    assert_eq!(
        peer.get("/slow/900").await.text(),
        "slow",
        "a long poll is the handler's silence"
    );
}

#[tokio::test]
async fn a_slow_upload_above_the_minimum_rate_is_served() {
    let server = Server::with(|c| {
        c.common.request_timeout = Some(millis(500));
        c.common.stream_idle_timeout = Some(millis(500));
    })
    .await;
    let mut peer = server.connect().await;
    peer.send("POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 7000\r\n\r\n")
        .await;
    for _ in 0..70 {
        peer.send([b'x'; 100]).await;
        tokio::time::sleep(millis(100)).await;
    }
    assert_eq!(peer.response().await.text(), "7000");
}

#[tokio::test]
async fn max_age_says_goodbye_on_the_next_answer_and_closes_the_idle() {
    let mut server = Server::with(|c| c.common.max_age = Some(millis(500))).await;
    let mut busy = server.connect().await;
    let mut idle = server.connect().await;
    assert!(!busy.get("/hello").await.is_last());
    assert_eq!(idle.get("/hello").await.status, 200);
    tokio::time::sleep(millis(900)).await;
    assert!(
        busy.get("/hello").await.is_last(),
        "the answer after the age is the last"
    );
    let _ = busy.closed(millis(3000)).await;
    assert_eq!(server.next_reason().await, CloseReason::MaxAge);
    assert_eq!(idle.closed(millis(5000)).await.0, Closed::End);
    assert_eq!(server.next_reason().await, CloseReason::MaxAge);
}

#[tokio::test]
async fn what_does_not_finish_in_its_grace_is_cut() {
    let mut server = Server::with(|c| {
        c.common.max_age = Some(millis(300));
        c.common.max_age_grace = millis(500);
    })
    .await;
    let mut peer = server.connect().await;
    peer.send("GET /drip/200/1000 HTTP/1.1\r\nHost: test\r\n\r\n")
        .await;
    let (_, took) = peer.closed(millis(5000)).await;
    assert!(took >= millis(750), "{took:?}");
    assert_eq!(server.next_reason().await, CloseReason::MaxAge);
}

#[tokio::test]
async fn the_last_of_max_requests_says_so() {
    let mut server = Server::with(|c| c.common.max_requests = Count::new(3)).await;
    let mut peer = server.connect().await;
    for last in [false, false, true] {
        assert_eq!(peer.get("/hello").await.is_last(), last);
    }
    let _ = peer.closed(millis(3000)).await;
    assert_eq!(server.next_reason().await, CloseReason::MaxRequests);
}

#[tokio::test]
async fn a_changed_timeout_holds_for_connections_that_are_idle_already() {
    let mut server = Server::start(Config::default()).await;
    let mut peer = server.connect().await;
    assert_eq!(peer.get("/hello").await.status, 200);
    let mut config = (*server.pool().config()).clone();
    config.common.keep_alive_timeout = millis(300);
    let mut http = HttpSettings::default();
    http.max_target = ByteSize::bytes(100);
    config.protocol = http.into();
    let differences = server.pool().set_config(config).unwrap();
    assert_eq!(differences.len(), 2);
    let _ = peer.closed(millis(2000)).await;
    assert_eq!(server.next_reason().await, CloseReason::Idle);
}
