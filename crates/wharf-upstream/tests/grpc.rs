//! Calls of gRPC are judged by their own status, and endpoints asked by its health service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use wharf_upstream::{CheckKind, HealthCheckSettings, SendBody, SendOptions};

use crate::servers::{Server, until, upstream};

/// A server whose health service says SERVING or not, as the switch says; each call ends with the status
/// that its path names.
async fn service(serving: &Arc<AtomicBool>) -> Server {
    let serving = Arc::clone(serving);
    Server::raw(move |_, socket| {
        let serving = Arc::clone(&serving);
        async move {
            let service =
                hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    let status = request
                        .uri()
                        .path()
                        .trim_start_matches('/')
                        .parse()
                        .unwrap_or(0);
                    let said = 1 + u8::from(!serving.load(Ordering::SeqCst));
                    async move { Ok::<_, hyper::Error>(call(status, said)) }
                });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            drop(
                builder
                    .serve_connection(TokioIo::new(socket), service)
                    .await,
            );
        }
    })
    .await
}

type Frames = futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, hyper::Error>>>;

fn call(status: u16, said: u8) -> Response<StreamBody<Frames>> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.into());
    let message = Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, said]);
    let frames = vec![Ok(Frame::data(message)), Ok(Frame::trailers(trailers))];
    let answer = Response::builder().header("content-type", "application/grpc");
    answer
        .body(StreamBody::new(futures_util::stream::iter(frames)))
        .unwrap()
}

#[tokio::test]
async fn a_call_fails_by_its_trailers_and_they_are_passed_on() {
    let server = service(&Arc::new(AtomicBool::new(true))).await;
    let upstream = upstream(&[server.url("h2c")], |_| {});
    for (status, failures) in [(0, 0), (5, 0), (14, 1)] {
        let request = Request::post(format!("/{status}"))
            .body(SendBody::default())
            .unwrap();
        let answer = upstream
            .send(request, &SendOptions::default())
            .await
            .unwrap();
        let whole = answer.into_body().collect().await.unwrap();
        let told = whole.trailers().unwrap().get("grpc-status").unwrap();
        assert_eq!(told.to_str().unwrap(), status.to_string());
        assert_eq!(upstream.endpoints()[0].failures, failures, "{status}");
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_serve_is_taken_out_until_it_does() {
    let serving = Arc::new(AtomicBool::new(true));
    let (server, other) = (
        service(&serving).await,
        service(&Arc::new(AtomicBool::new(true))).await,
    );
    let upstream = upstream(&[server.url("h2c"), other.url("h2c")], |setup| {
        let mut checks = HealthCheckSettings::default();
        checks.kind = CheckKind::Grpc;
        checks.interval = Duration::from_millis(250);
        setup.settings.health_check = Some(checks);
    });
    let state = |nth: usize| upstream.endpoints()[nth].state.as_str();
    until("both are ready", || {
        (state(0), state(1)) == ("ready", "ready")
    })
    .await;
    serving.store(false, Ordering::SeqCst);
    until("it is down", || state(0) == "down").await;
    serving.store(true, Ordering::SeqCst);
    until("it is ready again", || state(0) == "ready").await;
    assert_eq!(state(1), "ready");
}
