//! Calls that end without an answer of their handler.

use std::convert::Infallible;

use futures_util::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tower::service_fn;
use wharf_http::BoxError;
use wharf_http::grpc::{Calls, Code, Status, only};

use super::client::*;

#[tokio::test]
async fn a_handler_that_panics_is_internal() {
    let calls = Calls::default();
    let panics = service_fn(async |request: Asked| {
        assert!(request.uri().path() == "/a.A/Fine", "on purpose");
        echo(request).await
    });
    let mut client = Client::of(only(panics).calls(calls.clone())).await;
    let answer = client.call("/a.A/Panics", vec![message(1)]).await;
    assert!(answer.is_trailers_only());
    assert_eq!(answer.code(), Some(Code::Internal));
    assert_eq!(answer.message(), "the handler panicked");
    let answer = client.call("/a.A/Fine", vec![message(1)]).await;
    assert_eq!(answer.code(), Some(Code::Ok));
    assert_eq!(calls.figures().last().unwrap().ended[13], 1);
}

#[tokio::test]
async fn a_service_that_panics_before_it_is_a_future_is_internal() {
    #[derive(Clone)]
    struct Panics;
    impl tower_service::Service<Asked> for Panics {
        type Response = Response<Sent>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response<Sent>, Infallible>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Infallible>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Asked) -> Self::Future {
            panic!("on purpose")
        }
    }
    let mut client = Client::of(only(Panics)).await;
    let answer = client.call("/a.A/A", vec![]).await;
    assert_eq!(answer.code(), Some(Code::Internal));
}

#[tokio::test]
async fn a_body_that_panics_ends_as_internal_after_what_was_sent() {
    let panics = service_fn(async |_: Asked| {
        let pieces = stream::iter(0..3).map(|sent| {
            assert!(sent < 2, "on purpose");
            message(sent)
        });
        Ok::<_, Infallible>(answer_of(pieces, Some("0")))
    });
    let mut client = Client::of(only(panics)).await;
    let answer = client.call("/a.A/A", vec![]).await;
    assert_eq!(answer.code(), Some(Code::Internal));
    assert_eq!(answer.data, [message(0), message(1)].concat());
    assert!(!answer.broken);
}

#[tokio::test]
async fn an_error_of_a_service_is_the_status_that_it_carries() {
    let busy = service_fn(async |request: Asked| {
        let carried = request.uri().path() == "/a.A/Busy";
        Err::<Response<Sent>, BoxError>(if carried {
            Status::new(Code::Unavailable, "busy").into()
        } else {
            "the password is 1234".into()
        })
    });
    let mut client = Client::of(only(busy)).await;
    let answer = client.call("/a.A/Busy", vec![]).await;
    assert_eq!(
        (answer.code(), answer.message()),
        (Some(Code::Unavailable), "busy")
    );
    let answer = client.call("/a.A/A", vec![]).await;
    assert_eq!(answer.code(), Some(Code::Internal));
    assert!(!answer.message().contains("1234"));
}

#[tokio::test]
async fn what_is_no_call_is_answered_in_http() {
    let mut client = Client::of(only(service_fn(echo))).await;
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let answer = client
        .ask(Request::get("http://wharf/").body(body).unwrap())
        .await;
    assert_eq!(answer.status, 415);
    assert_eq!(answer.code(), None);
}
