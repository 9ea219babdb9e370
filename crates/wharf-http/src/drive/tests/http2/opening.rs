//! The beginning of a connection: what is waited for, and what it turns out to speak.

use wharf_testkit::http2::{END_STREAM, GET, PREFACE, block, frame};

use super::*;

#[tokio::test(start_paused = true)]
async fn who_does_not_begin_in_time_is_closed() {
    for begun in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut port = Port::new(|_, _| {});
        let mut peer = port.connect();
        let since = Instant::now();
        peer.write_all(begun.as_bytes()).await.unwrap();
        let mut peer = Raw::over(peer);
        let frames = peer.until_closed().await;
        took(since, 30 * SECOND);
        assert!(frames[0].is(Kind::Settings), "{begun:?}");
        drop(peer);
        let reason = port.end_of_only().await;
        assert_eq!(reason, CloseReason::ConnectionTimeout, "{begun:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_never_acknowledges_our_settings_is_told_and_closed() {
    let mut port = Port::new(|_, _| {});
    let mut peer = Raw::over(port.connect());
    let since = Instant::now();
    peer.bytes(PREFACE).await;
    peer.send(Kind::Settings, 0, 0, &[]).await;
    peer.get(1, "/").await;
    assert!(peer.next(Kind::Headers).await.stream == 1);
    assert_eq!(peer.goodbyes().await, [(1, 4)], "SETTINGS_TIMEOUT");
    took(since, 5 * SECOND);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::ConnectionTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_header_block_that_does_not_end_is_cut_after_its_time_and_told() {
    let whole = frame(Kind::Headers, END_STREAM, 1, &block(GET, "/"));
    let unended = whole.len();
    for part in [1, 8, 12, unended] {
        let mut port = Port::new(|_, _| {});
        let mut peer = port.raw().await;
        peer.bytes(&whole[..part]).await;
        let since = Instant::now();
        assert_eq!(peer.goodbyes().await, [(0, 11)], "ENHANCE_YOUR_CALM");
        took(since, 10 * SECOND);
        drop(peer);
        assert_eq!(
            port.end_of_only().await,
            CloseReason::HeadersTimeout,
            "{part}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_block_that_is_continued_for_ever_has_no_more_time() {
    let mut port = Port::new(|_, _| {});
    let io = port.connect();
    let mut peer = Raw::greeted(io).await;
    let since = Instant::now();
    let begun = block(GET, "/");
    peer.send(Kind::Headers, END_STREAM, 1, &begun).await;
    for _ in 0..4 {
        sleep(2 * SECOND).await;
        peer.send(Kind::Continuation, 0, 1, b"\0\x01a\x01b").await;
    }
    assert_eq!(peer.goodbyes().await, [(0, 11)]);
    took(since, 10 * SECOND);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::HeadersTimeout);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_http2_is_closed_and_told_so_if_it_could_understand() {
    let settings = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // DATA on a stream that nobody has opened.
    let data = format!("{settings}\0\0\x01\0\0\0\0\0\x01x");
    for (bytes, told) in [
        ("GET / HTTP/1.1\r\nhost: t\r\n\r\n", &[][..]),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", &[]),
        (&data, &[(0, 1)]),
    ] {
        let mut port = Port::new(|_, _| {});
        let mut peer = port.connect();
        let since = Instant::now();
        peer.write_all(bytes.as_bytes()).await.unwrap();
        let mut peer = Raw::over(peer);
        assert_eq!(peer.goodbyes().await, told, "{bytes:?}");
        assert!(since.elapsed() < SECOND, "{bytes:?}");
        drop(peer);
        assert_eq!(
            port.end_of_only().await,
            CloseReason::ProtocolError,
            "{bytes:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn either_version_is_recognised_however_its_bytes_are_cut() {
    let mut port = Port::of([http1(), http2(|_, _| {})]);
    let (peer, slow) = duplex(1024);
    let client = port
        .tasks
        .spawn(async move { Client::over(peer).await.get("/").await });
    let ours = port.connect();
    let (mut read, mut write) = tokio::io::split(slow);
    let (mut from, mut to) = tokio::io::split(ours);
    let dribble = async {
        let mut byte = [0];
        while read.read(&mut byte).await.is_ok_and(|n| n > 0) {
            to.write_all(&byte).await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
    };
    let back = async { tokio::io::copy(&mut from, &mut write).await };
    let answered = tokio::select! { it = client => it, () = dribble => unreachable!(), _ = back => unreachable!() };
    assert_eq!(answered.unwrap().unwrap().status, 200);
    drop((read, write, from, to));
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);

    let mut peer = port.connect();
    for byte in b"PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n" {
        peer.write_all(&[*byte]).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    assert!(some(&mut peer).await.starts_with("HTTP/1.1 200"));
    assert_eq!(
        (port.active(Protocol::Http), port.active(Protocol::Http2)),
        (1, 0)
    );
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn who_could_be_either_and_says_no_more_is_closed_in_time() {
    for begun in ["", "P", "PR"] {
        let mut port = Port::of([http1(), http2(|_, _| {})]);
        let mut peer = port.connect();
        let since = Instant::now();
        peer.write_all(begun.as_bytes()).await.unwrap();
        assert_eq!(until_closed(&mut peer).await, "");
        took(since, 30 * SECOND);
        drop(peer);
        assert_eq!(port.next_reason().await, CloseReason::ConnectionTimeout);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_its_linger_for_who_has_not_said_what_he_speaks() {
    let mut port = Port::of([http1(), http2(|_, _| {})]);
    let mut silent = port.connect();
    let mut late = port.connect();
    sleep(SECOND).await;
    let since = Instant::now();
    let asks = async {
        sleep(SECOND).await;
        late.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            .await
            .unwrap();
        assert!(until_closed(&mut late).await.starts_with("HTTP/1.1 200"));
    };
    let silence = async {
        assert_eq!(until_closed(&mut silent).await, "");
        took(since, Duration::from_millis(1500));
    };
    let (report, (), ()) = tokio::join!(port.drain(crate::DrainSettings::default()), asks, silence);
    assert_eq!((report.finished, report.cut), (2, 0));
    for _ in 0..2 {
        assert_eq!(port.next_reason().await, CloseReason::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn who_finds_the_pool_full_is_told_to_go_elsewhere() {
    let full = |common: &mut CommonSettings| {
        common.max_connections = wharf_pool::config::Count::new(1);
    };
    let mut port = Port::of([http1(), http2(|common, _| full(common))]);
    let first = port.client().await;
    assert_eq!(first.get("/").await.unwrap().status, 200);
    let mut second = Raw::over(port.connect());
    second.bytes(PREFACE).await;
    second.send(Kind::Settings, 0, 0, &[]).await;
    second.get(1, "/").await;
    let frames = second.until_closed().await;
    assert!(frames[0].is(Kind::Settings) && frames.len() == 2);
    assert_eq!(frames[1].goodbye(), Some((0, 0)));
    drop(second);
    assert_eq!(port.next_reason().await, CloseReason::Refused);
    assert_eq!(port.active(Protocol::Http2), 1);
    assert_eq!(first.get("/").await.unwrap().status, 200);
    drop(first);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}
