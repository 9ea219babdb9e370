//! What a request may look like, and what becomes of it.

use http::Method;
use wharf_pool::config::{ByteSize, Count};

use super::*;

#[tokio::test(start_paused = true)]
async fn many_requests_are_served_at_once() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let since = Instant::now();
    let all = (0..100).map(|_| client.get("/wait/9"));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.unwrap().text(), "waited");
    }
    took(since, 9 * SECOND);
    assert_eq!(port.pool(Protocol::Http2).metrics().requests, 100);
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_the_head_that_its_request_asks_for() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let answer = client.get("/").await.unwrap();
    assert_eq!(
        (answer.text(), &answer.fields["content-length"]),
        ("0", &"1".parse().unwrap())
    );
    assert!(answer.fields.contains_key("date"));
    let head = client.ask(asked(Method::HEAD, "/")).await.unwrap();
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
    for status in ["204", "304"] {
        let answer = client.get(&format!("/{status}")).await.unwrap();
        assert_eq!((answer.status.as_str(), answer.text()), (status, ""));
    }
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn trailers_go_both_ways() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let mut begun = client
        .begin(asked(Method::POST, "/trailers"), false)
        .await
        .unwrap();
    begun
        .body
        .send_data(Bytes::from_static(b"abc"), false)
        .unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("checksum", "900150983cd24fb0".parse().unwrap());
    begun.body.send_trailers(trailers.clone()).unwrap();
    let answer = begun.whole().await.unwrap();
    assert_eq!(
        (answer.text(), answer.trailers.as_ref()),
        ("3", Some(&trailers))
    );
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_is_told_why_and_the_others_go_on() {
    let mut port = Port::new(|_, http2| {
        http2.max_headers = Count::new(10).unwrap();
        http2.max_target = ByteSize::bytes(100);
        http2.max_header_list_size = ByteSize::kib(4);
        http2.max_body_size = Some(ByteSize::bytes(1000));
    });
    let client = port.client().await;
    let waiting = client.get("/wait/20");
    let refused = async {
        let get = |path: &str| asked(Method::GET, path);
        let with = |name: &'static str, value: &str| {
            let mut request = get("/");
            request.headers_mut().insert(name, value.parse().unwrap());
            request
        };
        let mut many = get("/");
        for n in 0..11 {
            many.headers_mut()
                .append("a", n.to_string().parse().unwrap());
        }
        for (request, status) in [
            (get(&format!("/{}", "x".repeat(100))), 414),
            (many, 431),
            (with("long", &"x".repeat(5000)), 431),
            (with("host", "u"), 400),
            (with("content-length", "1001"), 413),
            (Request::connect("t:443").body(()).unwrap(), 405),
        ] {
            let shown = format!("{request:?}");
            let ends = request.method() != Method::CONNECT && status != 413;
            let answer = client.begin(request, ends).await.unwrap().whole().await;
            assert_eq!(answer.unwrap().status, status, "{shown}");
        }
        assert_eq!(client.ask(with("host", "t")).await.unwrap().status, 200);
        let long = client.post("/", &[b'x'; 1001]).await.unwrap();
        assert_eq!(long.status, 413);
        assert_eq!(
            client.post("/", &[b'x'; 1000]).await.unwrap().text(),
            "1000"
        );
    };
    let (waited, ()) = tokio::join!(waiting, refused);
    assert_eq!(waited.unwrap().text(), "waited");
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_as_long_as_announced_is_no_request() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    for length in ["2", "4"] {
        let mut request = asked(Method::POST, "/");
        let fields = request.headers_mut();
        fields.insert("content-length", length.parse().unwrap());
        let begun = client.begin(request, false).await.unwrap();
        let reset = begun.with_body(b"abc").await.unwrap_err();
        assert_eq!(reset.reason(), Some(h2::Reason::PROTOCOL_ERROR), "{length}");
    }
    assert_eq!(client.get("/").await.unwrap().status, 200);
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_no_handler_wants_leave_room_for_those_that_one_does() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let body = vec![b'x'; 100_000];
    for _ in 0..30 {
        let answer = client.post("/early", &body).await.unwrap();
        assert_eq!(answer.text(), "early");
    }
    assert_eq!(client.post("/", &body).await.unwrap().text(), "100000");
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_in_the_application_costs_its_own_stream() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let waiting = client.get("/wait/20");
    let wrong = async {
        let internal = Some(h2::Reason::INTERNAL_ERROR);
        for _ in 0..3 {
            assert_eq!(client.get("/panic").await.unwrap().status, 500);
            assert_eq!(client.get("/fails").await.unwrap().status, 500);
            assert_eq!(client.reset_of("/panic-in-body").await, internal);
            assert_eq!(client.reset_of("/fail-in-body").await, internal);
            assert_eq!(client.reset_of("/panic-in-drop").await, internal);
        }
        sleep(SECOND).await;
        assert_eq!(port.in_flight(), (1, 1));
    };
    let (waited, ()) = tokio::join!(waiting, wrong);
    assert_eq!(waited.unwrap().text(), "waited");
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_taken_back_takes_its_handler_with_it() {
    let mut port = Port::new(|_, _| {});
    let mut peer = port.raw().await;
    for (stream, path) in [(1, "/wait/20"), (3, "/wait/20"), (5, "/quiet/20"), (7, "/")] {
        if stream == 7 {
            // Its body is waited for.
            peer.post(stream, path).await;
        } else {
            peer.get(stream, path).await;
        }
    }
    sleep(SECOND).await;
    // The handler of an event stream has ended with its head.
    assert_eq!(port.in_flight(), (4, 3));
    for stream in [3, 5, 7] {
        peer.send(Kind::Reset, 0, stream, &[0, 0, 0, 8]).await;
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(port.in_flight(), (1, 1));
    assert_eq!(peer.next(Kind::Data).await.stream, 1);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn more_streams_than_announced_are_refused_and_the_others_served() {
    let mut port = Port::new(|_, http2| {
        http2.max_concurrent_streams = Count::new(2).unwrap();
    });
    let mut peer = port.raw().await;
    for stream in [1, 3, 5] {
        peer.get(stream, "/wait/5").await;
    }
    assert_eq!(peer.next(Kind::Reset).await.reset(), Some((5, 7)));
    for stream in [1, 3] {
        assert_eq!(peer.next(Kind::Data).await.stream, stream);
    }
    peer.get(7, "/").await;
    assert_eq!(peer.next(Kind::Data).await.stream, 7);
    drop(peer);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}
