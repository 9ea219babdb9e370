//! Messages may be so long, and no longer.

use std::convert::Infallible;
use std::future::pending;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body_util::BodyExt;
use tower::service_fn;
use wharf_http::GrpcSettings;
use wharf_http::grpc::{Calls, Code, MessageLimits, only};
use wharf_testkit::grpc::hostile::Announced;

use super::client::*;

fn limits(bytes: u32) -> MessageLimits {
    let mut limits = MessageLimits::default();
    limits.receive = Some(bytes);
    limits.send = Some(bytes);
    limits
}

#[tokio::test]
async fn a_call_within_its_limits_goes_through_unchanged() {
    let mut client = Client::of(only(service_fn(echo)).limits(limits(100))).await;
    let sent = [message(100), message(0), message(1)];
    // Cut where no codec would.
    let bytes = sent.concat();
    let pieces = bytes.chunks(7).map(Bytes::copy_from_slice).collect();
    let answer = client.call("/a.A/A", pieces).await;
    assert_eq!(answer.code(), Some(Code::Ok));
    assert_eq!(answer.data, bytes);
}

#[tokio::test]
async fn four_mebibytes_are_the_limit_where_none_is_set() {
    let mut client = Client::of(only(service_fn(echo))).await;
    let answer = client.call("/a.A/A", vec![message(4 << 20)]).await;
    assert_eq!(answer.code(), Some(Code::Ok));
    assert_eq!(answer.data.len(), (4 << 20) + 5);
    let answer = client.call("/a.A/A", vec![message((4 << 20) + 1)]).await;
    assert_eq!(answer.code(), Some(Code::ResourceExhausted));
}

#[tokio::test]
async fn a_long_request_is_refused_whatever_the_handler_answers() {
    // It takes the error for the end, and answers OK.
    let mut client = Client::of(only(service_fn(echo)).limits(limits(100))).await;
    let answer = client
        .call("/a.A/A", vec![message(100), message(101)])
        .await;
    assert!(answer.is_trailers_only());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.code(), Some(Code::ResourceExhausted));
    let expected = "received message of 101 bytes is longer than the limit of 100 bytes";
    assert_eq!(answer.message(), expected);
}

#[tokio::test]
async fn a_long_request_is_refused_by_its_prefix_alone() {
    let mut client = Client::of(only(service_fn(echo)).limits(limits(100))).await;
    let answer = client.ask(request("/a.A/A", Announced::new(101))).await;
    assert_eq!(answer.code(), Some(Code::ResourceExhausted));
}

#[tokio::test]
async fn a_long_request_is_refused_though_the_handler_never_answers() {
    let stubborn = service_fn(async |request: Asked| {
        request.into_body().collect().await.ok();
        pending::<Result<Response<Sent>, Infallible>>().await
    });
    let mut client = Client::of(only(stubborn).limits(limits(100))).await;
    let answer = client.call("/a.A/A", vec![message(101)]).await;
    assert_eq!(answer.code(), Some(Code::ResourceExhausted));
}

#[tokio::test]
async fn a_long_message_ends_an_answer_that_has_begun() {
    // Replies to each piece of the request as it comes, and to its error with OK.
    let bidi = service_fn(async |request: Asked| {
        let replies = stream::unfold(request.into_body(), |mut body| async move {
            let data = body.frame().await?.ok()?.into_data().ok()?;
            Some((data, body))
        });
        Ok::<_, Infallible>(answer_of(replies, Some("0")))
    });
    let mut client = Client::of(only(bidi).limits(limits(100))).await;
    let (pieces, body) = tokio::sync::mpsc::channel(1);
    pieces.send(message(100)).await.unwrap();
    let mut response = client.begin(request("/a.A/A", Pieces::from(body))).await;
    let first = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), message(100));
    pieces.send(message(101)).await.unwrap();
    let answer = rest(response).await;
    assert_eq!(answer.code(), Some(Code::ResourceExhausted));
    assert!(answer.data.is_empty() && !answer.broken);
}

#[tokio::test]
async fn a_long_reply_ends_the_answer_after_the_replies_before_it() {
    let talkative = service_fn(async |_: Asked| {
        let both = Bytes::from([message(100), message(101)].concat());
        Ok::<_, Infallible>(answer_of(stream::iter([message(7), both]), Some("0")))
    });
    let mut client = Client::of(only(talkative).limits(limits(100))).await;
    let answer = client.call("/a.A/A", vec![]).await;
    assert_eq!(answer.code(), Some(Code::ResourceExhausted));
    assert_eq!(answer.data, [message(7), message(100)].concat());
    assert!(!answer.broken);
    let expected = "to be sent: message of 101 bytes is longer than the limit of 100 bytes";
    assert_eq!(answer.message(), expected);
}

#[tokio::test]
async fn without_limits_there_are_none() {
    let mut unlimited = MessageLimits::default();
    (unlimited.receive, unlimited.send) = (None, None);
    let mut pool = GrpcSettings::default();
    (
        pool.max_receive_message_length,
        pool.max_send_message_length,
    ) = (None, None);
    let app = only(service_fn(echo)).limits(unlimited);
    let mut client = Client::under(pool, app).await;
    let answer = client.call("/a.A/A", vec![message(5 << 20)]).await;
    assert_eq!(answer.code(), Some(Code::Ok));
}

#[tokio::test]
async fn the_connection_outlives_calls_that_are_refused() {
    let calls = Calls::default();
    let app = only(service_fn(echo)).limits(limits(100));
    let mut client = Client::of(app.calls(calls.clone())).await;
    for _ in 0..200 {
        let long = client.call("/a.A/A", vec![message(60_000)]).await;
        assert_eq!(long.code(), Some(Code::ResourceExhausted));
        let short = client.call("/a.A/A", vec![message(100)]).await;
        assert_eq!(short.code(), Some(Code::Ok));
    }
    let figures = calls.figures();
    // Not before the first was answered did anybody know that the method exists.
    let of = |code: Code| {
        figures
            .iter()
            .map(|it| it.ended[usize::from(code.number())])
            .sum::<u64>()
    };
    assert_eq!(of(Code::ResourceExhausted), 200);
    assert_eq!(of(Code::Ok), 200);
    assert_eq!(figures[0].messages_received, 200);
}
