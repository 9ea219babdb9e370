//! The end of a connection: idle, unanswered, old, drained, left.

use wharf_pool::config::Count;
use wharf_testkit::http2::{ACK, Frame};

use super::*;
use crate::DrainSettings;

/// The largest stream: a goodbye that names it lets those come that are on their way.
const ALL: u32 = (1 << 31) - 1;

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_told_and_closed_although_pings_go_both_ways() {
    let mut port = Port::new(|common, http2| {
        common.keep_alive_timeout = 100 * SECOND;
        http2.ping_interval = Some(20 * SECOND);
    });
    let mut peer = port.raw().await;
    peer.get(1, "/").await;
    peer.next(Kind::Data).await;
    let since = Instant::now();
    let mut pinged = 0;
    let last = loop {
        let frame = tokio::time::timeout(7 * SECOND, peer.frame()).await;
        match frame {
            // Nothing for a while.
            Err(_) => peer.send(Kind::Ping, 0, 0, b"are you?").await,
            Ok(Some(frame)) if frame.is(Kind::Ping) && frame.flags == 0 => {
                pinged += 1;
                peer.send(Kind::Ping, ACK, 0, &frame.payload).await;
            }
            Ok(Some(frame)) if frame.goodbye().is_some() => break frame.goodbye(),
            Ok(Some(_)) => {}
            Ok(None) => break None,
        }
    };
    assert_eq!(last, Some((ALL, 0)));
    took(since, 100 * SECOND);
    assert_eq!(pinged, 0, "the peer was heard every seven seconds");
    // The peer does not leave by itself, and does not answer the PING of the goodbye.
    // So it is told which of its streams was the last.
    assert_eq!(peer.goodbyes().await, [(1, 0)]);
    took(since, 100 * SECOND + Duration::from_millis(500));
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::Idle);
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_leaves_when_it_is_told() {
    let mut port = Port::new(|_, http2| http2.ping_interval = Some(10 * SECOND));
    let client = port.client().await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    let since = Instant::now();
    client.ended().await.unwrap();
    took(since, 300 * SECOND);
    assert_eq!(port.end_of_only().await, CloseReason::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_nobody_answers_ends_the_connection() {
    for in_flight in [false, true] {
        let mut port = Port::new(|common, http2| {
            common.request_timeout = None;
            http2.ping_interval = Some(20 * SECOND);
        });
        let mut peer = port.raw().await;
        if in_flight {
            peer.get(1, "/wait/9999").await;
        }
        let since = Instant::now();
        peer.next(Kind::Ping).await;
        took(since, 20 * SECOND);
        assert_eq!(peer.until_closed().await, []);
        took(since, 30 * SECOND);
        drop(peer);
        assert_eq!(port.end_of_only().await, CloseReason::PingTimeout);
    }
}

#[tokio::test(start_paused = true)]
async fn any_frame_answers_a_ping() {
    let mut port = Port::new(|common, http2| {
        common.request_timeout = None;
        http2.ping_interval = Some(20 * SECOND);
    });
    let mut peer = port.raw().await;
    peer.get(1, "/wait/200").await;
    let mut pings = 0;
    loop {
        let frame = peer.frame().await.unwrap();
        if frame.is(Kind::Ping) {
            pings += 1;
            sleep(9 * SECOND).await;
            peer.update(0, 1).await;
            // The answer itself is late.
            sleep(9 * SECOND).await;
            peer.send(Kind::Ping, ACK, 0, &frame.payload).await;
        } else if frame.is(Kind::Data) {
            break;
        }
    }
    assert_eq!(pings, 5);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_too_old_is_told_before_and_finishes_its_streams() {
    let mut port = Port::new(|common, _| {
        common.request_timeout = None;
        common.max_age = Some(60 * SECOND);
    });
    let since = Instant::now();
    let mut peer = port.raw().await;
    peer.get(1, "/wait/80").await;
    let told = peer.next(Kind::GoAway).await;
    assert_eq!(told.goodbye(), Some((ALL, 0)));
    let age = since.elapsed();
    assert!(
        age >= 54 * SECOND && age <= 66 * SECOND + 2 * TICK,
        "{age:?}"
    );
    // On its way when the goodbye was.
    peer.get(3, "/").await;
    let ping = peer.next(Kind::Ping).await;
    peer.send(Kind::Ping, ACK, 0, &ping.payload).await;
    let frames = peer.until_closed().await;
    took(since, 80 * SECOND);
    let answered = |stream| {
        frames
            .iter()
            .any(|it| it.stream == stream && it.is(Kind::Data))
    };
    assert!(answered(1) && answered(3), "{frames:?}");
    let goodbyes: Vec<_> = frames.iter().filter_map(Frame::goodbye).collect();
    assert_eq!(goodbyes[0], (3, 0));
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::MaxAge);
}

#[tokio::test(start_paused = true)]
async fn what_outlives_the_grace_of_an_old_connection_is_cut() {
    let mut port = Port::new(|common, _| {
        common.request_timeout = None;
        common.max_age = Some(60 * SECOND);
        common.max_age_grace = 20 * SECOND;
    });
    let mut peer = port.raw().await;
    peer.get(1, "/wait/9999").await;
    peer.next(Kind::GoAway).await;
    let since = Instant::now();
    peer.until_closed().await;
    took(since, 20 * SECOND);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::MaxAge);
}

#[tokio::test(start_paused = true)]
async fn after_its_last_request_a_connection_serves_what_it_has_and_ends() {
    let mut port = Port::new(|common, _| common.max_requests = Count::new(3));
    let client = port.client().await;
    let (a, b, c) = tokio::join!(
        client.get("/wait/5"),
        client.get("/wait/9"),
        client.get("/")
    );
    for answer in [a, b, c] {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert!(client.get("/").await.is_err());
    client.ended().await.unwrap();
    assert_eq!(port.pool(Protocol::Http2).metrics().requests, 3);
    assert_eq!(port.end_of_only().await, CloseReason::MaxRequests);
}

#[tokio::test(start_paused = true)]
async fn a_drain_tells_everybody_and_waits_for_what_is_in_flight() {
    let mut port = Port::new(|_, _| {});
    let mut answers = Vec::new();
    for _ in 0..10 {
        let client = port.client().await;
        answers.push(port.tasks.spawn(async move {
            let answer = client.get("/wait/12").await.unwrap();
            client.ended().await.unwrap();
            answer.status
        }));
    }
    let idle = port.client().await;
    assert_eq!(idle.get("/").await.unwrap().status, 200);
    sleep(SECOND).await;
    let report = port.drain(DrainSettings::default()).await;
    assert_eq!((report.finished, report.cut), (11, 0));
    let took = report.took;
    assert!(took >= 11 * SECOND && took < 12 * SECOND, "{took:?}");
    for answer in answers {
        assert_eq!(answer.await.unwrap(), 200);
    }
    for _ in 0..11 {
        assert_eq!(port.next_reason().await, CloseReason::Drained);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ignores_the_goodbye_does_not_hold_up_a_drain() {
    let mut port = Port::new(|_, _| {});
    let mut peer = port.raw().await;
    peer.get(1, "/wait/5").await;
    let mut silent = port.raw().await;
    let since = Instant::now();
    let ends = async {
        assert_eq!(silent.goodbyes().await, [(ALL, 0), (0, 0)]);
        assert!(since.elapsed() < 2 * SECOND);
        let frames = peer.until_closed().await;
        assert!(frames.iter().any(|it| it.is(Kind::Data) && it.flags == 1));
        took(since, 5 * SECOND + Duration::from_millis(500));
    };
    let (report, ()) = tokio::join!(port.drain(DrainSettings::default()), ends);
    assert_eq!((report.finished, report.cut), (2, 0));
    drop((peer, silent));
    assert_eq!(port.next_reason().await, CloseReason::Drained);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_at_the_deadline_of_a_drain_is_cut() {
    let mut port = Port::new(|common, _| common.request_timeout = None);
    let client = port.client().await;
    let stuck = client
        .begin(asked(http::Method::GET, "/wait/9999"), true)
        .await;
    sleep(SECOND).await;
    let report = port.drain(DrainSettings::default()).await;
    assert_eq!((report.finished, report.cut), (0, 1));
    assert!(report.took >= 30 * SECOND && report.took < 31 * SECOND);
    assert!(stuck.unwrap().whole().await.is_err());
    assert_eq!(port.end_of_only().await, CloseReason::DrainDeadline);
}

#[tokio::test(start_paused = true)]
async fn who_comes_during_a_drain_is_told_at_once() {
    let mut port = Port::new(|_, _| {});
    port.shared.lame.leave();
    let mut peer = port.raw().await;
    assert_eq!(peer.goodbyes().await, [(ALL, 0), (0, 0)]);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::Drained);
    port.shared.lame.abandon();
    let mut peer = Raw::over(port.connect());
    assert_eq!(peer.until_closed().await, []);
    assert_eq!(port.end_of_only().await, CloseReason::DrainDeadline);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_takes_its_handlers_with_it() {
    for (path, reason) in [
        ("/", CloseReason::ClientClosed),
        ("/wait/60", CloseReason::PeerReset),
        ("/quiet/60", CloseReason::PeerReset),
    ] {
        let mut port = Port::new(|_, _| {});
        let mut peer = port.raw().await;
        for stream in [1, 3, 5] {
            peer.get(stream, path).await;
        }
        sleep(SECOND).await;
        let since = Instant::now();
        drop(peer);
        assert_eq!(port.end_of_only().await, reason, "{path}");
        assert!(since.elapsed() < Duration::from_millis(100), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dropped_by_its_runtime_gives_everything_back() {
    let port = Port::new(|_, _| {});
    for path in ["/", "/wait/60", "/quiet/60", "/large/100000000"] {
        let (peer, ours) = duplex(1024);
        let address: SocketAddr = "192.0.2.1:1000".parse().unwrap();
        let guard = port
            .pool(Protocol::Http2)
            .add(Endpoints::new(address, address), HttpConnection::default())
            .unwrap();
        let io = Tracked::new(ours, guard);
        let served = drive(io, app::app(&port.handlers), Arc::clone(&port.shared));
        let asks = async {
            let client = Client::over(peer).await;
            let begun = client.begin(asked(http::Method::GET, path), true).await;
            sleep(60 * SECOND).await;
            drop(begun);
        };
        let both = Box::pin(async { tokio::join!(served, asks) });
        // Polled for a while, then dropped wherever it is.
        assert!(tokio::time::timeout(SECOND, both).await.is_err());
        sleep(SECOND).await;
        assert_eq!(port.in_flight(), (0, 0), "{path}");
        assert_eq!(port.active(Protocol::Http2), 0, "{path}");
    }
    assert_eq!(port.registry.records(), 0);
}
