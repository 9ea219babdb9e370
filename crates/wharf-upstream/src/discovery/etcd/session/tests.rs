//! What only an etcd at the right moment says, said by a stand-in.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{iter, pending};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::proto::event::EventType;
use super::super::proto::watch_request::RequestUnion;
use super::super::proto::{
    Event, KeyValue, RangeRequest, RangeResponse, ResponseHeader, WatchRequest, WatchResponse,
};
use crate::discovery::etcd::Etcd;
use crate::{Scheme, Upstream, UpstreamSetup};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

fn at(revision: i64) -> ResponseHeader {
    ResponseHeader { revision }
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: value.into(),
    }
}

fn frame(message: &impl Message) -> Frame<Bytes> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    let bytes = [&[0][..], &length.to_be_bytes(), &message].concat();
    Frame::data(bytes.into())
}

/// One message, and the end of the call.
fn unary(message: &impl Message) -> Answer {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", 0.into());
    let frames = iter([frame(message), Frame::trailers(trailers)].map(Ok));
    grpc(UnsyncBoxBody::new(StreamBody::new(frames)))
}

/// Messages, and no end.
fn streaming(messages: &[WatchResponse]) -> Answer {
    let frames: Vec<_> = messages.iter().map(frame).map(Ok).collect();
    grpc(UnsyncBoxBody::new(StreamBody::new(
        iter(frames).chain(pending()),
    )))
}

fn grpc(body: UnsyncBoxBody<Bytes, Infallible>) -> Answer {
    let answer = Response::builder().header("content-type", "application/grpc");
    answer.body(body).unwrap()
}

/// The revision that a watch wants to begin at.
async fn wanted(request: Request<Incoming>) -> i64 {
    let frame = request.into_body().frame().await.unwrap().unwrap();
    let bytes = frame.into_data().unwrap();
    let asked = WatchRequest::decode(&bytes[5..]).unwrap();
    let Some(RequestUnion::CreateRequest(create)) = asked.request_union else {
        return 0;
    };
    create.start_revision
}

/// An etcd that forgets what has happened between its first answer and the watch that follows it.
async fn forgetful(request: Request<Incoming>, ranges: &AtomicUsize) -> Answer {
    if request.uri().path() == "/etcdserverpb.KV/Range" {
        let first = ranges.fetch_add(1, Ordering::SeqCst) == 0;
        let (revision, kv) = if first {
            (5, pair("/a/1", "gone:1"))
        } else {
            (10, pair("/a/2", "kept:2"))
        };
        return unary(&RangeResponse {
            header: Some(at(revision)),
            kvs: vec![kv],
            more: false,
            count: 1,
        });
    }
    let created = WatchResponse {
        header: Some(at(10)),
        created: true,
        ..WatchResponse::default()
    };
    match wanted(request).await {
        6 => streaming(&[
            created,
            WatchResponse {
                header: Some(at(10)),
                canceled: true,
                compact_revision: 9,
                ..WatchResponse::default()
            },
        ]),
        11 => {
            let event = Event {
                r#type: EventType::Put.into(),
                kv: Some(pair("/a/3", "new:3")),
            };
            let happened = WatchResponse {
                header: Some(at(11)),
                events: vec![event],
                ..WatchResponse::default()
            };
            streaming(&[created, happened])
        }
        other => unreachable!("nobody watches from {other} on"),
    }
}

/// A stand-in that ends with what is returned, and an upstream that follows it.
async fn followed<F>(
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> (Upstream, JoinSet<()>)
where
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut serving = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            serving.spawn(async move {
                drop(
                    builder
                        .serve_connection(TokioIo::new(socket), service)
                        .await,
                );
            });
        }
    });
    let mut setup = UpstreamSetup::new("api".parse().unwrap(), []);
    setup.settings.scheme = Some(Scheme::Http);
    setup.settings.pool.protocol.min_idle = None;
    let upstream = Upstream::start(setup).unwrap();
    upstream.follow(Etcd::new([member.parse().unwrap()], "/a/"));
    (upstream, tasks)
}

/// An etcd with 300 keys, whose values are too large to be told all at once.
async fn heavy(request: Request<Incoming>) -> Answer {
    if request.uri().path() != "/etcdserverpb.KV/Range" {
        return streaming(&[]);
    }
    let bytes = request.into_body().collect().await.unwrap().to_bytes();
    let asked = RangeRequest::decode(&bytes[5..]).unwrap();
    // The first page says as of when the others are.
    let is_first = asked.key == b"/a/";
    assert_eq!(asked.revision, if is_first { 0 } else { 7 });
    // Most are no endpoints, for their length.
    let value = |nth| format!("h{nth}:1{}", " ".repeat(if nth < 280 { 30_000 } else { 0 }));
    let keys = (0..300).map(|nth| pair(&format!("/a/{nth:03}"), &value(nth)));
    let mut keys: Vec<_> = keys.filter(|pair| pair.key >= asked.key).collect();
    let count = keys.len();
    keys.truncate(usize::try_from(asked.limit).unwrap());
    unary(&RangeResponse {
        header: Some(at(7)),
        more: keys.len() < count,
        kvs: keys,
        count: i64::try_from(count).unwrap(),
    })
}

#[tokio::test]
async fn keys_that_are_too_large_for_one_answer_are_told_in_pages() {
    let (upstream, _tasks) = followed(heavy).await;
    for _ in 0..1500 {
        if upstream.endpoints().len() == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(upstream.endpoints().len(), 20);
    let report = upstream.discovery().unwrap();
    assert_eq!((report.revision, report.skipped), (Some(7), 280));
}

#[tokio::test]
async fn what_etcd_has_forgotten_is_asked_for_as_a_whole() {
    let ranges = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ranges);
    let (upstream, _tasks) = followed(move |request| {
        let ranges = Arc::clone(&count);
        async move { forgetful(request, &ranges).await }
    })
    .await;
    let found = || -> Vec<_> {
        let endpoints = upstream.endpoints();
        endpoints.iter().map(|it| it.address.to_string()).collect()
    };
    for _ in 0..1000 {
        if found() == ["http://kept:2", "http://new:3"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(found(), ["http://kept:2", "http://new:3"]);
    let report = upstream.discovery().unwrap();
    assert_eq!((report.revision, report.failures), (Some(11), 0));
    assert_eq!(ranges.load(Ordering::SeqCst), 2);
}
