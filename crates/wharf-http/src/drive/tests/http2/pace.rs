//! Peers that send and take too slowly, or not at all.

use http::Method;
use wharf_testkit::http2::END_STREAM;

use super::*;

/// SETTINGS that give each stream so little room.
const fn window(bytes: u8) -> [u8; 6] {
    [0, 4, 0, 0, 0, bytes]
}

/// `CANCEL`.
const CANCEL: u32 = 8;

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_costs_its_own_stream() {
    for (rate, limit) in [(true, 5 * SECOND), (false, 60 * SECOND)] {
        let mut port = Port::new(|common, _| {
            common.request_timeout = None;
            if !rate {
                common.min_data_rate = None;
            }
        });
        let mut peer = port.raw().await;
        peer.get(1, "/wait/100").await;
        let since = Instant::now();
        peer.post(3, "/").await;
        assert_eq!(peer.next(Kind::Reset).await.reset(), Some((3, CANCEL)));
        took(since, limit);
        assert_eq!(peer.next(Kind::Data).await.stream, 1);
        drop(peer);
        assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_does_not_open_costs_its_own_stream() {
    for (rate, limit) in [(true, 5 * SECOND), (false, 60 * SECOND)] {
        let mut port = Port::new(|common, _| {
            common.request_timeout = None;
            if !rate {
                common.min_data_rate = None;
            }
        });
        let mut peer = Raw::greeting(port.connect(), &window(0)).await;
        peer.get(1, "/wait/100").await;
        // It may have its six bytes.
        peer.update(1, 6).await;
        let since = Instant::now();
        peer.get(3, "/large/100000").await;
        assert_eq!(peer.next(Kind::Reset).await.reset(), Some((3, CANCEL)));
        took(since, limit);
        let data = peer.next(Kind::Data).await;
        assert_eq!((data.stream, data.payload.as_slice()), (1, &b"waited"[..]));
        drop(peer);
        assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_by_a_byte_a_second_is_too_slow() {
    let mut port = Port::new(|_, _| {});
    let mut peer = Raw::greeting(port.connect(), &window(1)).await;
    let since = Instant::now();
    peer.get(1, "/large/100000").await;
    let reset = loop {
        match tokio::time::timeout(SECOND, peer.next(Kind::Reset)).await {
            Ok(frame) => break frame.reset(),
            Err(_) => peer.update(1, 1).await,
        }
        assert!(since.elapsed() < 60 * SECOND, "never found");
    };
    assert_eq!(reset, Some((1, CANCEL)));
    took(since, 5 * SECOND);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_by_a_kilobyte_a_second_is_slow_enough() {
    let mut port = Port::new(|_, _| {});
    let mut peer = Raw::greeting(port.connect(), &window(1)).await;
    peer.get(1, "/large/200000").await;
    let (mut taken, mut ended) = (0, false);
    while !ended {
        sleep(SECOND).await;
        peer.update(0, 1000).await;
        peer.update(1, 1000).await;
        while let Ok(frame) = tokio::time::timeout(Duration::from_millis(1), peer.frame()).await {
            let frame = frame.unwrap();
            assert!(
                !frame.is(Kind::Reset) && !frame.is(Kind::GoAway),
                "{frame:?}"
            );
            if frame.is(Kind::Data) {
                taken += frame.payload.len();
                ended |= frame.flags & END_STREAM != 0;
            }
        }
    }
    assert_eq!(taken, 200_000);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn many_answers_over_a_slow_way_are_all_given() {
    let mut port = Port::new(|_, _| {});
    let mut peer = port.raw().await;
    // Forty answers of 6 KB share the 64 KB that a connection begins with, then 5 KB a second.
    for stream in 0..40 {
        peer.get(1 + 2 * stream, "/large/6000").await;
    }
    let (mut ended, mut bytes) = (0, 0);
    while ended < 40 {
        match tokio::time::timeout(SECOND, peer.frame()).await {
            Err(_) => peer.update(0, 5000).await,
            Ok(Some(frame)) => {
                assert!(!frame.is(Kind::Reset), "a stream pays for the others");
                if frame.is(Kind::Data) {
                    bytes += frame.payload.len();
                    ended += usize::from(frame.flags & END_STREAM != 0);
                }
            }
            Ok(None) => panic!("{bytes} bytes, then {:?}", port.end_of_only().await),
        }
    }
    assert_eq!(bytes, 40 * 6000);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_window_stays_shut_is_cut_as_a_whole() {
    let mut port = Port::new(|_, _| {});
    let mut peer = port.raw().await;
    for stream in 0..20 {
        peer.get(1 + 2 * stream, "/large/6000").await;
    }
    let since = Instant::now();
    let frames = peer.until_closed().await;
    assert!(frames.iter().all(|it| !it.is(Kind::Reset)));
    assert!(since.elapsed() >= 5 * SECOND && since.elapsed() < 8 * SECOND);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::SlowReader);
}

#[tokio::test(start_paused = true)]
async fn a_body_at_a_byte_a_second_is_too_slow_and_one_at_300_is_not() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let drip = async |bytes: usize| {
        let mut begun = client.begin(asked(Method::POST, "/"), false).await.unwrap();
        for second in 1..=100 {
            let piece = Bytes::from(vec![b'x'; bytes]);
            if begun.body.send_data(piece, second == 100).is_err() {
                break;
            }
            sleep(SECOND).await;
        }
        begun.whole().await
    };
    let since = Instant::now();
    let slow = async {
        let reset = drip(1).await.unwrap_err();
        assert_eq!(reset.reason(), Some(h2::Reason::CANCEL));
        assert!(since.elapsed() <= 7 * SECOND, "{:?}", since.elapsed());
    };
    let (honest, ()) = tokio::join!(drip(300), slow);
    assert_eq!(honest.unwrap().text(), "30000");
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_bytes_at_all_is_cut() {
    for (rate, limit, reason) in [
        (true, 5 * SECOND, CloseReason::SlowReader),
        (false, 60 * SECOND, CloseReason::StreamIdle),
    ] {
        let mut port = Port::new(|common, _| {
            if !rate {
                common.min_data_rate = None;
            }
        });
        let mut peer = Raw::greeted(port.connect_over(1024)).await;
        peer.get(1, "/large/100000").await;
        let since = Instant::now();
        assert_eq!(port.end_of_only().await, reason);
        took(since, limit);
        drop(peer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_kilobyte_a_second_gets_all_of_it() {
    let mut port = Port::new(|_, _| {});
    let (peer, slow) = duplex(1024);
    let client = port.tasks.spawn(async move {
        let client = Client::over(peer).await;
        client.get("/large/60000").await.unwrap().data.len()
    });
    let ours = port.connect_over(1024);
    let (mut read, mut write) = tokio::io::split(slow);
    let (mut from, mut to) = tokio::io::split(ours);
    let there = async { tokio::io::copy(&mut read, &mut to).await };
    let back = async {
        let mut piece = [0; 1000];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            write.write_all(&piece[..n]).await.unwrap();
            sleep(SECOND).await;
        }
    };
    let taken = tokio::select! {
        // The client's end is the end of the others too.
        biased;
        taken = client => taken.ok(),
        _ = there => None,
        () = back => None,
    };
    assert_eq!(taken, Some(60_000), "{:?}", port.end_of_only().await);
    drop((read, write, from, to));
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_read_its_body_is_not_the_peers_fault() {
    let mut port = Port::new(|common, _| common.request_timeout = None);
    let client = port.client().await;
    let begun = client
        .begin(asked(Method::POST, "/unread/100"), false)
        .await
        .unwrap();
    let answer = begun.with_body(&vec![b'x'; 1_000_000]).await.unwrap();
    assert_eq!(answer.text(), "1000000");
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}
