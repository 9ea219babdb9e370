//! Calls that whoever serves the connection ends, and how they learn of the end.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use http::Response;
use http_body_util::{BodyExt, Empty};
use tokio::time::{Instant, sleep};
use tower::{ServiceBuilder, service_fn};
use wharf_http::grpc::{Call, Calls, Code, MessageLimits, Status, only};

use super::client::*;

const LATE: Duration = Duration::from_millis(50);

fn late() -> Status {
    Status::new(Code::DeadlineExceeded, "too late").retry_after(Duration::from_secs(1))
}

/// Cuts `call` when it is late.
async fn deadline(call: Call) -> bool {
    sleep(LATE).await;
    call.cut(late())
}

#[tokio::test]
async fn a_call_is_cut_before_its_head() {
    let stuck = service_fn(async |_: Asked| pending::<Result<Response<Sent>, Infallible>>().await);
    let call = Call::new(MessageLimits::default(), None);
    let given = call.clone();
    let app = ServiceBuilder::new()
        .map_request(move |mut request: http::Request<_>| {
            request.extensions_mut().insert(given.clone());
            request
        })
        .service(only(stuck));
    let mut client = Client::of(app).await;
    let began = Instant::now();
    let (answer, cut) = tokio::join!(client.call("/a.A/A", vec![]), deadline(call.clone()));
    assert!(cut && began.elapsed() < Duration::from_secs(1));
    assert!(answer.is_trailers_only());
    assert_eq!(answer.code(), Some(Code::DeadlineExceeded));
    assert_eq!(answer.head["grpc-retry-pushback-ms"], "1000");
    assert_eq!(call.code(), Some(Code::DeadlineExceeded));
    assert!(!call.cut(Status::new(Code::Internal, "")));
}

#[tokio::test]
async fn a_call_is_cut_while_its_answer_is_silent() {
    let quiet = service_fn(async |_: Asked| {
        let pieces = stream::iter([message(3)]).chain(stream::pending());
        Ok::<_, Infallible>(answer_of(pieces, Some("0")))
    });
    let calls = Calls::default();
    let call = Call::new(MessageLimits::default(), Some(calls.clone()));
    let given = call.clone();
    let app = ServiceBuilder::new()
        .map_request(move |mut request: http::Request<_>| {
            request.extensions_mut().insert(given.clone());
            request
        })
        .service(only(quiet));
    let mut client = Client::of(app).await;
    let (answer, cut) = tokio::join!(client.call("/a.A/A", vec![]), deadline(call.clone()));
    assert!(cut && !answer.broken);
    assert_eq!(answer.data, message(3));
    assert_eq!(answer.code(), Some(Code::DeadlineExceeded));
    assert_eq!(call.code(), Some(Code::DeadlineExceeded));
    let figures = &calls.figures()[0];
    assert_eq!(&*figures.method, "a.A/A");
    assert_eq!((figures.ended[4], figures.in_flight), (1, 0));
}

#[tokio::test]
async fn a_caller_that_leaves_has_cancelled() {
    let quiet = service_fn(async |_: Asked| {
        let pieces = stream::iter([message(3)]).chain(stream::pending());
        Ok::<_, Infallible>(answer_of(pieces, Some("0")))
    });
    let calls = Calls::default();
    let mut client = Client::of(only(quiet).calls(calls.clone())).await;
    // While a request goes on, to drop its answer is not to leave.
    let body = Empty::new().map_err(|never| match never {});
    let mut response = client.begin(request("/a.A/A", body)).await;
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(calls.figures()[0].in_flight, 1);
    drop(response);
    for _ in 0..100 {
        if calls.figures()[0].in_flight == 0 {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(calls.figures()[0].ended[1], 1);
    assert_eq!(calls.figures()[0].count, 0);
}
