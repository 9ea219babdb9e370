//! The demo application: something to try each feature on.

mod body;
mod echo;
pub(crate) mod grpc;
mod proto;
mod websocket;

pub(crate) use body::AppBody;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get, post};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use tokio::time::sleep;

use body::Repeated;

/// What `GET /hello` says.
pub(crate) const HELLO: &[u8] = b"Hello, World!";

/// The demo as an axum router; `GET /hello` is answered before it ([`crate::app`]).
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("demo/page.html"))))
        .route("/hello", get(async || plain(HELLO)))
        .route("/echo", post(echo))
        .route("/count", post(count))
        .route("/slow", get(slow))
        .route("/block", get(block))
        .route("/bytes", get(bytes))
        .route("/panic", get(panicking))
        .route("/ws", any(websocket::echo))
        .route("/ws/room/{name}", any(websocket::enter))
        .with_state(websocket::Rooms::default())
}

fn plain(body: impl Into<Body>) -> Response {
    ([TEXT_PLAIN], body.into()).into_response()
}

const TEXT_PLAIN: (HeaderName, HeaderValue) = (
    header::CONTENT_TYPE,
    HeaderValue::from_static("text/plain; charset=utf-8"),
);

/// `POST /echo`: the body, as it comes.
async fn echo(headers: HeaderMap, body: Body) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).cloned();
    let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// `POST /count`: how many bytes the body has, when all of it is there.
async fn count(body: Body) -> Response {
    let mut stream = body.into_data_stream();
    let mut bytes = 0;
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => bytes += piece.len(),
            Err(_) => return StatusCode::BAD_REQUEST.into_response(),
        }
    }
    plain(format!("{bytes}\n"))
}

/// `GET /block?ms=`: what a handler does that must not: it blocks its worker.
#[expect(clippy::disallowed_methods, reason = "this is what the path is for")]
async fn block(Query(Slow { pause, .. }): Query<Slow>) -> Response {
    std::thread::sleep(pause.min(Duration::from_secs(10)));
    plain(format!("blocked {} ms\n", pause.as_millis()))
}

/// `GET /slow?ms=&chunks=`.
#[derive(Debug)]
struct Slow {
    pause: Duration,
    chunks: u32,
}

/// The longest pause and the most chunks that can be asked for.
const LONGEST_PAUSE_MS: u64 = 3_600_000;
const MOST_CHUNKS: u32 = 1_000_000;

impl<'de> Deserialize<'de> for Slow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut slow = Self {
            pause: Duration::ZERO,
            chunks: 0,
        };
        for (key, value) in Vec::<(String, String)>::deserialize(deserializer)? {
            let number = || {
                let number = value.parse::<u64>();
                number.map_err(|error| D::Error::custom(format_args!("{key}: {error}")))
            };
            match key.as_str() {
                "ms" => slow.pause = Duration::from_millis(number()?.min(LONGEST_PAUSE_MS)),
                "chunks" => {
                    slow.chunks = u32::try_from(number()?)
                        .unwrap_or(u32::MAX)
                        .min(MOST_CHUNKS);
                }
                _ => return Err(D::Error::custom("ask by ms and chunks")),
            }
        }
        Ok(slow)
    }
}

async fn slow(Query(Slow { pause, chunks }): Query<Slow>) -> Response {
    if chunks == 0 {
        sleep(pause).await;
        return plain(format!("waited {} ms\n", pause.as_millis()));
    }
    let chunks = stream::unfold(0, move |sent| async move {
        if sent == chunks {
            return None;
        }
        if sent > 0 {
            sleep(pause).await;
        }
        Some((
            Ok::<_, std::convert::Infallible>(Bytes::from(format!("chunk {sent}\n"))),
            sent + 1,
        ))
    });
    plain(Body::from_stream(chunks))
}

/// `GET /bytes?n=N`: that many, streamed.
async fn bytes(Query(query): Query<Vec<(String, String)>>) -> Response {
    let number = match query.as_slice() {
        [(key, value)] if key == "n" => value.parse().ok(),
        _ => None,
    };
    match number {
        Some(n) => {
            let kind = HeaderValue::from_static("application/octet-stream");
            ([(header::CONTENT_TYPE, kind)], Body::new(Repeated::new(n))).into_response()
        }
        None => (StatusCode::BAD_REQUEST, "ask for /bytes?n=1000000\n").into_response(),
    }
}

#[expect(clippy::panic, reason = "this is what the path is for")]
async fn panicking() -> Response {
    panic!("asked for by GET /panic")
}
