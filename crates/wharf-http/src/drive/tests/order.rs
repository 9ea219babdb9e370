//! What is said in which order, and for which reason, when several things happen at once.

use super::*;

const ASK: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_refusal_never_lands_in_the_middle_of_an_answer() {
    let mut harbour = Harbour::new(|_| {});
    let mut peer = harbour.connect_over(1024);
    let asks = "GET /large HTTP/1.1\r\nHost: t\r\n\r\nrubbish\r\n\r\n";
    peer.write_all(asks.as_bytes()).await.unwrap();
    sleep(SECOND).await;
    let all = until_closed(&mut peer).await;
    let body = all.split("\r\n\r\n").nth(1).unwrap();
    assert!(body[..8192].bytes().all(|byte| byte == b'x'));
    assert!(body[8192..].starts_with("HTTP/1.1 400"), "{body}");
    drop(peer);
    assert_eq!(harbour.next_reason().await, CloseReason::BadRequest);
}

#[tokio::test(start_paused = true)]
async fn a_late_head_behind_a_request_in_hand_is_judged_after_its_answer() {
    let mut harbour = Harbour::new(|_| {});
    let mut peer = harbour.connect();
    peer.write_all(b"GET /wait/20 HTTP/1.1\r\nHost: t\r\n\r\nGET / HT")
        .await
        .unwrap();
    let begun = Instant::now();
    assert!(some(&mut peer).await.ends_with("waited"));
    assert!(until_closed(&mut peer).await.starts_with("HTTP/1.1 408"));
    took(begun, 30 * SECOND);
    drop(peer);
    assert_eq!(harbour.next_reason().await, CloseReason::HeadersTimeout);
}

#[tokio::test(start_paused = true)]
async fn a_request_behind_a_long_upload_does_not_take_its_handlers_time() {
    let harbour = Harbour::new(|_| {});
    let mut peer = harbour.connect();
    let head = b"POST /wait/5 HTTP/1.1\r\nHost: t\r\nContent-Length: 600000\r\n\r\n";
    peer.write_all(head).await.unwrap();
    for _ in 0..59 {
        peer.write_all(&[b'x'; 10_000]).await.unwrap();
        sleep(SECOND).await;
    }
    let last = ["x".repeat(10_000).as_str(), ASK].concat();
    peer.write_all(last.as_bytes()).await.unwrap();
    let both = some(&mut peer).await;
    assert!(both.starts_with("HTTP/1.1 200"), "{both}");
    assert_eq!(both.matches("HTTP/1.1 200").count(), 2, "{both}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_no_answer_can_tell_of_is_the_reason() {
    let mut harbour = Harbour::new(|_| {});
    let mut peer = harbour.connect();
    peer.write_all(b"GET /panic-in-drop HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    drop(until_closed(&mut peer).await);
    drop(peer);
    assert_eq!(harbour.next_reason().await, CloseReason::Panic);
    assert_eq!(harbour.pool.metrics().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_amid_its_last_answer_has_left() {
    let mut harbour = Harbour::new(|c| c.common.max_requests = wharf_pool::config::Count::new(1));
    let mut peer = harbour.connect();
    peer.write_all(b"GET /quiet/3600 HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    assert!(some(&mut peer).await.contains("connection: close"));
    drop(peer);
    assert_eq!(harbour.next_reason().await, CloseReason::PeerReset);
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_a_body_the_connection_is_idle_afterwards() {
    for ask in [
        "HEAD /large HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /204 HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /304 HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n",
    ] {
        let mut harbour = Harbour::new(|_| {});
        let mut peer = harbour.connect();
        let begun = Instant::now();
        peer.write_all(ask.repeat(3).as_bytes()).await.unwrap();
        let answers = until_closed(&mut peer).await;
        let of_handlers = answers.matches("HTTP/1.").count() - answers.matches(" 100 ").count();
        assert_eq!(of_handlers, 3, "{ask}: {answers}");
        took(begun, 75 * SECOND);
        assert_eq!(harbour.next_reason().await, CloseReason::Idle, "{ask}");
        let metrics = harbour.pool.metrics();
        assert_eq!((metrics.in_flight, metrics.requests), (0, 3), "{ask}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_deadline_comes_early_however_often_the_peer_is_heard() {
    let harbour = Harbour::new(|_| {});
    // Just before a tick, so that the coarse clock is as late as it can be.
    sleep(Duration::from_millis(199)).await;
    let begun = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(harbour.connect());
    let drip = async {
        writer.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let mut all = Vec::new();
    let read = async { reader.read_to_end(&mut all).await };
    tokio::select! { _ = read => {}, () = drip => {} }
    took(begun, 10 * SECOND);
    assert!(all.starts_with(b"HTTP/1.1 408"), "{all:?}");
}
