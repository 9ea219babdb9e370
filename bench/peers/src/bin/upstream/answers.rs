//! The answers of the server.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use wharf_bench_peers::ANSWER;

use crate::Server;

type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

/// How long the server had the request, in microseconds.
const TOOK: &str = "x-took";

/// A message of gRPC: not compressed, and what every peer answers.
const MESSAGE: &[u8] = b"\0\0\0\0\x0dHello, World!";

const PIECE: &[u8] = &[0; 64 << 10];

/// Answers one request.
pub(crate) async fn answer(
    request: Request<Incoming>,
    server: Arc<Server>,
) -> Result<Response<AnswerBody>, hyper::Error> {
    let path = request.uri().path();
    if path == "/-/seen" {
        return Ok(whole(server.seen.to_string()));
    }
    if let Some(count) = path.strip_prefix("/bytes/") {
        let left = count.parse().unwrap_or(0);
        return Ok(Response::new(Zeros { left }.boxed_unsync()));
    }
    if let Some(mean) = path.strip_prefix("/-/service/") {
        let Ok(mean) = mean.parse() else {
            let mut answer = whole("microseconds");
            *answer.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(answer);
        };
        server.work.set(mean);
        return Ok(whole("set"));
    }
    let _seen = server.seen.request();
    let begun = Instant::now();
    let calls = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let posts = request.method() == Method::POST;
    let came = if posts {
        drain(request.into_body()).await?
    } else {
        0
    };
    if server.work.fails {
        let mut answer = whole("failed");
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return Ok(answer);
    }
    server.work.take().await;
    let mut answer = match (calls, posts) {
        (true, _) => call(),
        (false, true) => whole(came.to_string()),
        (false, false) => whole(ANSWER),
    };
    let took = begun.elapsed().as_micros().to_string();
    if let Ok(took) = HeaderValue::from_str(&took) {
        answer.headers_mut().insert(TOOK, took);
    }
    Ok(answer)
}

async fn drain(mut body: Incoming) -> Result<u64, hyper::Error> {
    let mut came = 0;
    while let Some(frame) = body.frame().await {
        came += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(came)
}

fn whole(body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut answer = Response::new(Full::new(body.into()).boxed_unsync());
    let text = HeaderValue::from_static("text/plain");
    answer.headers_mut().insert(CONTENT_TYPE, text);
    answer
}

/// One message, and that all is well.
fn call() -> Response<AnswerBody> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from_static(MESSAGE)).with_trailers(async { Some(Ok(trailers)) });
    let mut answer = Response::new(body.boxed_unsync());
    let kind = HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// So many zeros.
struct Zeros {
    left: u64,
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let count = self.left.min(PIECE.len() as u64);
        if count == 0 {
            return Poll::Ready(None);
        }
        self.left -= count;
        let piece = usize::try_from(count).map_or(PIECE, |count| &PIECE[..count]);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
