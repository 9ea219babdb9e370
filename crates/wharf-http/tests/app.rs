//! The application that the tests ask: slow, large, broken, as its path says.

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use http_body_util::BodyExt;
use tokio::time::{Instant, sleep};
use wharf_http::Connected;

use crate::support::millis;

/// What the tests ask for.
pub(crate) fn app() -> Router {
    Router::new()
        .route("/hello", any(async || "Hello, World!"))
        .route("/echo", post(async |body: Body| body))
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .route("/slow/{ms}", get(slow))
        .route("/patient/{ms}", get(patient))
        .route("/drip/{ms}/{count}", get(drip))
        .route("/bytes/{count}", get(bytes))
        .route("/panic", get(panics))
        .route("/panic-in-body", get(panics_in_body))
        .route("/fail-in-body", get(fails_in_body))
        .route("/who", get(who))
        .route("/upgrade", get(upgrade))
        .route("/keep-body", post(keep_body))
}

async fn slow(Path(ms): Path<u64>) -> &'static str {
    sleep(millis(ms)).await;
    "slow"
}

async fn patient(Path(ms): Path<u64>, Extension(connected): Extension<Connected>) -> &'static str {
    connected.set_request_timeout(None);
    sleep(millis(ms)).await;
    "patient"
}

/// `count` chunks, `ms` apart.
async fn drip(Path((ms, count)): Path<(u64, u32)>) -> Body {
    Body::new(Drip {
        left: count,
        pause: Box::pin(sleep(millis(ms))),
        ms,
    })
}

struct Drip {
    left: u32,
    pause: std::pin::Pin<Box<tokio::time::Sleep>>,
    ms: u64,
}

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return std::task::Poll::Ready(None);
        }
        std::task::ready!(self.pause.as_mut().poll(cx));
        self.left -= 1;
        let next = Instant::now() + millis(self.ms);
        self.pause.as_mut().reset(next);
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(
            b"drip\n",
        )))))
    }
}

async fn bytes(Path(count): Path<usize>) -> Body {
    const CHUNK: usize = 32 * 1024;
    Body::new(
        http_body_util::StreamBody::new(Chunks {
            left: count,
            chunk: CHUNK,
        })
        .map_err(|never: std::convert::Infallible| match never {}),
    )
}

/// A stream of zeros, in chunks.
struct Chunks {
    left: usize,
    chunk: usize,
}

impl futures_core::Stream for Chunks {
    type Item = Result<http_body::Frame<Bytes>, std::convert::Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let size = self.left.min(self.chunk);
        self.left -= size;
        let frame = http_body::Frame::data(Bytes::from(vec![0; size]));
        std::task::Poll::Ready((size > 0).then_some(Ok(frame)))
    }
}

async fn panics() -> StatusCode {
    let asked = true;
    assert!(!asked, "as asked");
    StatusCode::OK
}

async fn panics_in_body() -> Body {
    Body::new(Broken {
        how: How::Panic,
        begun: false,
    })
}

async fn fails_in_body() -> Body {
    Body::new(Broken {
        how: How::Error,
        begun: false,
    })
}

#[derive(Debug, PartialEq, Eq)]
enum How {
    Panic,
    Error,
}

/// A body that breaks after its first chunk.
struct Broken {
    how: How,
    begun: bool,
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        if !std::mem::replace(&mut self.begun, true) {
            let frame = http_body::Frame::data(Bytes::from_static(b"begun"));
            return std::task::Poll::Ready(Some(Ok(frame)));
        }
        assert_eq!(self.how, How::Error, "as asked");
        std::task::Poll::Ready(Some(Err(std::io::Error::other("as asked"))))
    }
}

async fn who(Extension(connected): Extension<Connected>, request: Request) -> String {
    let peer = request
        .extensions()
        .get::<axum::extract::ConnectInfo<SocketAddr>>()
        .map_or("nobody".to_owned(), |info| info.0.to_string());
    let info = connected.info();
    format!(
        "{peer} {} {} {:?}",
        info.peer, info.requests, info.user_agent
    )
}

/// Echoes what comes after the upgrade.
async fn upgrade(request: Request) -> impl IntoResponse {
    let upgrade = hyper::upgrade::on(request);
    // A test may detach: the runtime ends with it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the handler's own task, as applications do"
    )]
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut io = hyper_util::rt::TokioIo::new(upgraded);
        let (mut reader, mut writer) = tokio::io::split(&mut io);
        tokio::io::copy(&mut reader, &mut writer).await.ok();
    });
    (
        StatusCode::SWITCHING_PROTOCOLS,
        [("connection", "upgrade"), ("upgrade", "echo")],
    )
}

/// Answers at once and holds the body unread for a second.
async fn keep_body(body: Body) -> &'static str {
    #[expect(
        clippy::disallowed_methods,
        reason = "the handler's own task, as applications do"
    )]
    tokio::spawn(async move {
        sleep(millis(1000)).await;
        drop(body);
    });
    "kept"
}
