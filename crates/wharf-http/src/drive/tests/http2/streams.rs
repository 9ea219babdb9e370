//! What a handler has time for.

use http::Method;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_handler_that_owes_for_too_long_is_504_and_the_connection_goes_on() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let since = Instant::now();
    let late = async {
        assert_eq!(client.get("/wait/9999").await.unwrap().status, 504);
        took(since, 30 * SECOND);
    };
    let later = async {
        sleep(7 * SECOND).await;
        assert_eq!(client.get("/wait/9999").await.unwrap().status, 504);
        took(since, 37 * SECOND);
    };
    let in_time = async {
        let answer = client.get("/wait/29").await.unwrap();
        assert_eq!(answer.text(), "waited");
        assert_eq!(client.get("/").await.unwrap().status, 200);
    };
    tokio::join!(late, later, in_time);
    assert_eq!(port.in_flight(), (0, 0));
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_of_an_hour_with_no_request_timeout_is_not_closed() {
    let mut port = Port::new(|common, http2| {
        common.request_timeout = None;
        http2.ping_interval = Some(20 * SECOND);
    });
    let client = port.client().await;
    assert_eq!(client.get("/wait/3600").await.unwrap().text(), "waited");
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_that_says_nothing_for_an_hour_is_not_closed() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let since = Instant::now();
    let answer = client.get("/quiet/3600").await.unwrap();
    assert_eq!(answer.text(), "event\nevent\n");
    assert!(since.elapsed() >= 3 * 3600 * SECOND);
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_five_minutes_at_ten_kilobytes_a_second_is_served() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let mut begun = client.begin(asked(Method::POST, "/"), false).await.unwrap();
    for second in 1..=300 {
        let piece = Bytes::from(vec![b'x'; 10_000]);
        begun.body.send_data(piece, second == 300).unwrap();
        sleep(SECOND).await;
    }
    assert_eq!(begun.whole().await.unwrap().text(), "3000000");
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_handler_owes_from_the_end_of_its_requests_body_on() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let since = Instant::now();
    let mut begun = client
        .begin(asked(Method::POST, "/wait/9999"), false)
        .await
        .unwrap();
    for second in 1..=60 {
        let piece = Bytes::from(vec![b'x'; 1000]);
        begun.body.send_data(piece, second == 60).unwrap();
        if second < 60 {
            sleep(SECOND).await;
        }
    }
    assert_eq!(begun.whole().await.unwrap().status, 504);
    took(since, 89 * SECOND);
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_limit_that_is_put_in_force_applies_to_what_is_in_flight() {
    let mut port = Port::new(|_, _| {});
    let client = port.client().await;
    let since = Instant::now();
    let change = async {
        sleep(5 * SECOND).await;
        let pool = port.pool(Protocol::Http2);
        let mut patch = pool.config().patch();
        patch.set("request_timeout", &"10s".into()).unwrap();
        pool.update_config(&patch).unwrap();
    };
    let (answer, ()) = tokio::join!(client.get("/wait/9999"), change);
    assert_eq!(answer.unwrap().status, 504);
    took(since, 10 * SECOND);
    drop(client);
    assert_eq!(port.end_of_only().await, CloseReason::ClientClosed);
}
