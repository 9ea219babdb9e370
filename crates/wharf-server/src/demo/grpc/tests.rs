//! The demo's gRPC over HTTP/2 in memory, beside an application, with tonic's clients.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codegen::http::Uri;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use wharf_http::grpc::{Calls, beside};
use wharf_testkit::grpc::Channel;

use super::*;
use crate::demo::proto::EchoRequest;
use crate::demo::proto::echo_client::EchoClient;

/// One connection to the demo. Its tasks go with the last of them.
struct Demo {
    channel: Channel<Body>,
    calls: Calls,
    #[expect(dead_code, reason = "held for its drop")]
    tasks: JoinSet<()>,
}

impl Demo {
    async fn start() -> Self {
        let (near, far) = tokio::io::duplex(1 << 16);
        let calls = Calls::default();
        calls.declare(METHODS);
        let routes = routes(&Health::new()).unwrap();
        let counted = calls.clone();
        let app = beside(crate::demo::router(), routes).supervised(|grpc| grpc.calls(counted));
        let app = TowerToHyperService::new(served(app));
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(server.serve_connection(TokioIo::new(far), app).map(drop));
        let channel = Channel::over(near).await;
        Self {
            channel,
            calls,
            tasks,
        }
    }

    fn echo(&self) -> EchoClient<Channel<Body>> {
        EchoClient::with_origin(self.channel.clone(), origin())
    }

    async fn unary(&self, request: EchoRequest) -> Result<String, Status> {
        let reply = self.echo().unary(request).await;
        reply.map(|reply| reply.into_inner().message)
    }
}

/// What can be given to a listener.
fn served<A: wharf_http::App>(app: A) -> A {
    app
}

fn origin() -> Uri {
    Uri::from_static("http://wharf")
}

fn request(message: &str, repeat: u32, delay_ms: u32) -> EchoRequest {
    EchoRequest {
        message: message.to_owned(),
        repeat,
        delay_ms,
    }
}

async fn messages(
    mut replies: tonic::Streaming<crate::demo::proto::EchoReply>,
) -> Result<Vec<String>, Status> {
    let mut messages = Vec::new();
    while let Some(reply) = replies.message().await? {
        messages.push(reply.message);
    }
    Ok(messages)
}

#[tokio::test]
async fn unary_answers_once_or_as_often_as_asked() {
    let demo = Demo::start().await;
    assert_eq!(demo.unary(request("ahoy", 0, 0)).await.unwrap(), "ahoy");
    assert_eq!(
        demo.unary(request("ahoy", 3, 0)).await.unwrap(),
        "ahoyahoyahoy"
    );
}

#[tokio::test]
async fn unary_waits_as_long_as_asked() {
    let demo = Demo::start().await;
    let begun = Instant::now();
    demo.unary(request("ahoy", 2, 100)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_server_stream_has_as_many_replies_as_asked() {
    let demo = Demo::start().await;
    let replies = demo.echo().server_stream(request("ahoy", 3, 20)).await;
    let begun = Instant::now();
    let replies = messages(replies.unwrap().into_inner()).await.unwrap();
    assert_eq!(replies, ["ahoy"; 3]);
    assert!(begun.elapsed() >= Duration::from_millis(40));
}

#[tokio::test]
async fn a_client_stream_is_joined() {
    let demo = Demo::start().await;
    let requests = [request("a", 0, 0), request("b", 2, 0), request("c", 1, 0)];
    let reply = demo.echo().client_stream(stream::iter(requests)).await;
    assert_eq!(reply.unwrap().into_inner().message, "abbc");
}

#[tokio::test]
async fn bidi_replies_to_each_request_as_it_comes() {
    let demo = Demo::start().await;
    let (requests, taken) = tokio::sync::mpsc::channel(1);
    let taken = stream::unfold(taken, |mut taken| async move {
        let request = taken.recv().await?;
        Some((request, taken))
    });
    let mut replies = demo.echo().bidi(taken).await.unwrap().into_inner();
    for i in 0..10 {
        let message = i.to_string();
        requests.send(request(&message, 2, 0)).await.unwrap();
        for _ in 0..2 {
            assert_eq!(replies.message().await.unwrap().unwrap().message, message);
        }
    }
    drop(requests);
    assert!(replies.message().await.unwrap().is_none());
}

#[tokio::test]
async fn what_nobody_knows_is_unimplemented() {
    let demo = Demo::start().await;
    for path in ["/wharf.demo.v1.Echo/Nothing", "/no.Such/Service"] {
        let mut client = tonic::client::Grpc::with_origin(demo.channel.clone(), origin());
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<EchoRequest, EchoRequest>::default();
        let request = Request::new(request("", 0, 0));
        let answer = client.unary(request, path.parse().unwrap(), codec).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_on_either_way() {
    let demo = Demo::start().await;
    let long = "x".repeat(5 << 20);
    let refused = demo.unary(request(&long, 0, 0)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let mut client = demo.echo().max_decoding_message_size(usize::MAX);
    let refused = client
        .unary(request(&long[..1 << 20], 5, 0))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let most = client.unary(request("x", u32::MAX, 0)).await.unwrap();
    assert_eq!(most.into_inner().message.len(), 1_000_000);
    let refused = client
        .unary(request(&long[..1000], u32::MAX, 0))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(demo.unary(request("ahoy", 0, 0)).await.unwrap(), "ahoy");
}

#[tokio::test]
async fn what_compression_hides_is_limited_too() {
    let demo = Demo::start().await;
    let mut client = demo.echo().send_compressed(CompressionEncoding::Gzip);
    let small = client
        .unary(request(&"0".repeat(1 << 20), 0, 0))
        .await
        .unwrap();
    assert_eq!(small.into_inner().message.len(), 1 << 20);
    let bomb = client
        .unary(request(&"0".repeat(10 << 20), 0, 0))
        .await
        .unwrap_err();
    assert_eq!(bomb.code(), Code::ResourceExhausted);
    assert_eq!(demo.unary(request("ahoy", 0, 0)).await.unwrap(), "ahoy");
}

#[tokio::test]
async fn a_call_that_asks_for_a_panic_gets_internal() {
    let demo = Demo::start().await;
    let mut call = Request::new(request("ahoy", 0, 0));
    call.metadata_mut()
        .insert("demo-panic", MetadataValue::from_static("1"));
    let broken = demo.echo().unary(call).await.unwrap_err();
    assert_eq!(broken.code(), Code::Internal);
    assert_eq!(demo.unary(request("ahoy", 0, 0)).await.unwrap(), "ahoy");
}

#[tokio::test]
async fn health_knows_the_demo() {
    let demo = Demo::start().await;
    let mut client = HealthClient::with_origin(demo.channel.clone(), origin());
    for service in ["", "wharf.demo.v1.Echo"] {
        let asked = HealthCheckRequest {
            service: service.to_owned(),
        };
        assert_eq!(client.check(asked).await.unwrap().into_inner().status, 1);
    }
}

#[tokio::test]
async fn reflection_shows_the_services_that_there_are() {
    let demo = Demo::start().await;
    let mut client = ServerReflectionClient::with_origin(demo.channel.clone(), origin());
    let asked = |message| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message),
    };
    let asked = [
        asked(MessageRequest::ListServices(String::new())),
        asked(MessageRequest::FileContainingSymbol(
            "wharf.demo.v1.Echo".to_owned(),
        )),
    ];
    let replies = client.server_reflection_info(stream::iter(asked)).await;
    let replies: Vec<_> = replies.unwrap().into_inner().collect().await;
    let mut replies = replies.into_iter().map(|it| it.unwrap().message_response);
    let Some(Some(MessageResponse::ListServicesResponse(list))) = replies.next() else {
        panic!("no list of services");
    };
    let mut shown: Vec<_> = list.service.into_iter().map(|it| it.name).collect();
    shown.sort();
    // Each version of reflection shows itself only.
    let others = METHODS.iter().filter(|it| !it.contains("v1alpha"));
    let mut known: Vec<_> = others.map(|it| it.split('/').next().unwrap()).collect();
    known.sort_unstable();
    known.dedup();
    assert_eq!(shown, known);
    let file = replies.next().flatten();
    assert!(matches!(
        file,
        Some(MessageResponse::FileDescriptorResponse(_))
    ));
}

#[tokio::test]
async fn every_method_that_is_called_was_declared() {
    let demo = Demo::start().await;
    demo.unary(request("ahoy", 0, 0)).await.unwrap();
    let replies = demo.echo().server_stream(request("ahoy", 3, 0)).await;
    messages(replies.unwrap().into_inner()).await.unwrap();
    let figures = demo.calls.figures();
    assert_eq!(figures.len(), METHODS.len() + 1);
    let sent = |method| {
        let mut figures = figures.iter();
        let figures = figures.find(|it| &*it.method == method).unwrap();
        (
            figures.ended[0],
            figures.messages_received,
            figures.messages_sent,
        )
    };
    assert_eq!(sent("wharf.demo.v1.Echo/Unary"), (1, 1, 1));
    assert_eq!(sent("wharf.demo.v1.Echo/ServerStream"), (1, 1, 3));
    assert_eq!(sent("other"), (0, 0, 0));
}
