//! gRPC calls: when they end, and which pool they are in.

use http::Method;
use wharf_pool::config::Count;

use super::*;

fn call(path: &str, timeout: Option<&str>) -> Request<()> {
    let mut request = wharf_testkit::grpc::asked(path);
    if let Some(timeout) = timeout {
        let fields = request.headers_mut();
        fields.insert("grpc-timeout", timeout.parse().unwrap());
    }
    request
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_so_long_is_told_when_that_is_over() {
    let mut port = Port::of([http2(|_, _| {}), grpc(|_, _| {})]);
    let client = port.client().await;
    // Before the head of the answer, and after it.
    for (path, message) in [("/wait/9999", &b""[..]), ("/late/9999", b"\0\0\0\0\x03abc")] {
        let since = Instant::now();
        let answer = client.ask(call(path, Some("20S"))).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (200, Some("4")),
            "{path}"
        );
        assert_eq!(answer.data, message, "{path}");
        took(since, 20 * SECOND);
    }
    let answer = client.ask(call("/wait/19", Some("20S"))).await.unwrap();
    assert_eq!(answer.code(), Some("0"));
    assert_eq!(port.in_flight(), (0, 0));
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_says_nothing_waits_as_long_as_its_pool_lets_it() {
    let mut port = Port::of([http2(|_, _| {}), grpc(|_, _| {})]);
    let client = port.client().await;
    let since = Instant::now();
    let answer = client.ask(call("/wait/9999", None)).await.unwrap();
    assert_eq!(answer.code(), Some("4"));
    took(since, 30 * SECOND);
    // Its head is there in time, and then it may take for ever.
    let answer = client.ask(call("/late/3600", None)).await.unwrap();
    assert_eq!(answer.code(), Some("0"));
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn no_call_takes_longer_than_the_longest() {
    let mut port = Port::of([
        http2(|_, _| {}),
        grpc(|_, grpc| grpc.max_call_duration = Some(40 * SECOND)),
    ]);
    let client = port.client().await;
    for (path, timeout, limit) in [
        ("/wait/9999", None, 40),
        ("/wait/9999", Some("1H"), 40),
        ("/late/9999", None, 40),
        ("/late/9999", Some("35S"), 35),
    ] {
        let since = Instant::now();
        let answer = client.ask(call(path, timeout)).await.unwrap();
        assert_eq!(answer.code(), Some("4"), "{path} {timeout:?}");
        took(since, limit * SECOND);
    }
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_messages_may_be_as_slow_as_it_likes() {
    let mut port = Port::of([http2(|_, _| {}), grpc(|_, _| {})]);
    let client = port.client().await;
    let mut begun = client.begin(call("/collect", None), false).await.unwrap();
    for _ in 0..50 {
        sleep(50 * SECOND).await;
        let message = Bytes::from_static(b"\0\0\0\0\x01x");
        begun.body.send_data(message, false).unwrap();
    }
    begun.body.send_data(Bytes::new(), true).unwrap();
    assert_eq!(begun.whole().await.unwrap().code(), Some("0"));
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_call_is_told_as_its_status() {
    let mut port = Port::of([http2(|_, _| {}), grpc(|_, _| {})]);
    let client = port.client().await;
    let mut elsewhere = call("/", None);
    elsewhere.headers_mut().insert("host", "u".parse().unwrap());
    for (request, code) in [
        (call("/panic", None), "13"),
        (call("/", Some("20")), "3"),
        (elsewhere, "3"),
        (call(&format!("/{}", "x".repeat(9000)), None), "8"),
    ] {
        let answer = client.ask(request).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code()), (200, Some(code)));
    }
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_connection_goes_to_the_pool_of_its_first_request() {
    let mut port = Port::of([http2(|_, _| {}), grpc(|_, _| {})]);
    for (first, second, pools) in [(true, false, (0, 1)), (false, true, (1, 0))] {
        let client = port.client().await;
        let counts = || (port.active(Protocol::Http2), port.active(Protocol::Grpc));
        assert_eq!(counts(), (1, 0));
        for is_call in [first, second] {
            let request = if is_call {
                call("/", None)
            } else {
                asked(Method::GET, "/")
            };
            let answer = client.ask(request).await.unwrap();
            assert_eq!(answer.code().is_some(), is_call);
            assert_eq!(counts(), pools);
        }
        drop(client);
        assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_its_pool_full_is_told_and_its_connection_leaves() {
    let mut port = Port::of([
        http2(|_, _| {}),
        grpc(|common, _| common.max_connections = Count::new(1)),
    ]);
    let first = port.client().await;
    assert_eq!(first.ask(call("/", None)).await.unwrap().code(), Some("0"));
    let second = port.client().await;
    let answer = second.ask(call("/", None)).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.code()), (200, Some("14")));
    second.ended().await.unwrap();
    assert_eq!(port.next_reason().await, CloseReason::Refused);
    assert_eq!(
        (port.active(Protocol::Http2), port.active(Protocol::Grpc)),
        (0, 1)
    );
    drop(first);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_listener_for_calls_alone_serves_them_in_its_only_pool() {
    let mut port = Port::of([grpc(|_, grpc| grpc.keep_alive_time = None)]);
    let client = port.client().await;
    assert_eq!(client.ask(call("/", None)).await.unwrap().code(), Some("0"));
    assert_eq!(port.active(Protocol::Grpc), 1);
    let since = Instant::now();
    client.ended().await.unwrap();
    took(since, 300 * SECOND);
    assert_eq!(port.end_of_only().await, CloseReason::Idle);
}

#[tokio::test(start_paused = true)]
async fn pings_that_come_too_often_end_a_connection_that_does_nothing_else() {
    let mut port = Port::of([grpc(|_, grpc| {
        grpc.keep_alive_time = None;
        grpc.min_ping_interval = Some(10 * SECOND);
    })]);
    let mut peer = port.raw().await;
    let since = Instant::now();
    for _ in 0..3 {
        peer.send(Kind::Ping, 0, 0, &[0; 8]).await;
        sleep(5 * SECOND).await;
    }
    peer.send(Kind::Ping, 0, 0, &[0; 8]).await;
    assert_eq!(peer.goodbyes().await, [(0, 11)]);
    assert!(since.elapsed() < 16 * SECOND);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::Http2Abuse);
}
