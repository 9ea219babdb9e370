//! An application and gRPC on the same connection.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use tower::service_fn;
use tower_service::Service;
use wharf_http::grpc::{Code, beside};

use super::client::*;

fn get(path: &str) -> Request<Sent> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    Request::get(format!("http://wharf{path}"))
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn each_request_goes_where_its_content_type_says() {
    let mut client = Client::of(beside(service_fn(hello), service_fn(echo))).await;
    let answer = client.ask(get("/a.A/A")).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.data),
        (200, &b"hello"[..])
    );
    let answer = client.call("/a.A/A", vec![message(3)]).await;
    assert_eq!(answer.code(), Some(Code::Ok));
    assert_eq!(answer.data, message(3));
    let mut web = request("/a.A/A", Empty::new().map_err(|never| match never {}));
    let kind = "application/grpc-web+proto".parse().unwrap();
    web.headers_mut().insert("content-type", kind);
    assert_eq!(client.ask(web).await.data, b"hello");
}

#[tokio::test]
async fn an_axum_router_keeps_its_fallback_beside_grpc() {
    let router =
        axum::Router::new().fallback(async || (http::StatusCode::NOT_FOUND, "nothing here"));
    let mut client = Client::of(beside(router, service_fn(echo))).await;
    let answer = client.ask(get("/")).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.data),
        (404, &b"nothing here"[..])
    );
    assert_eq!(client.call("/a.A/A", vec![]).await.code(), Some(Code::Ok));
}

/// Never ready.
#[derive(Clone)]
struct Busy;

impl<B> Service<Request<B>> for Busy {
    type Response = Response<Sent>;
    type Error = Infallible;
    type Future = std::future::Pending<Result<Response<Sent>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        std::future::pending()
    }
}

#[tokio::test]
async fn a_side_that_is_not_ready_lets_the_other_serve() {
    let mut client = Client::of(beside(service_fn(hello), Busy)).await;
    assert_eq!(client.ask(get("/")).await.data, b"hello");
    let mut client = Client::of(beside(Busy, service_fn(echo))).await;
    assert_eq!(client.call("/a.A/A", vec![]).await.code(), Some(Code::Ok));
}
