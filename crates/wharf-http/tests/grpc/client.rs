//! A client that sends gRPC's bytes as it is told, and services that answer with bytes.

use std::convert::Infallible;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{FutureExt, Stream, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use wharf_http::grpc::{Code, RequestBody};
use wharf_http::pool::config::PoolConfig;
use wharf_http::{App, BoxError, GrpcSettings, ListenerSetup, Protocol, Running, Server};

pub(crate) type Sent = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type Asked = Request<RequestBody<wharf_http::RequestBody>>;

/// A client on a connection of a server of its own; both ends go with it.
pub(crate) struct Client {
    sender: SendRequest<Sent>,
    #[expect(dead_code, reason = "held for its drop")]
    tasks: JoinSet<()>,
    #[expect(dead_code, reason = "held for its drop")]
    server: Running,
}

/// All of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) head: HeaderMap,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    /// Whether the stream was reset.
    pub(crate) broken: bool,
}

impl Answer {
    /// What the caller takes the call's end for.
    pub(crate) fn code(&self) -> Option<Code> {
        let said = self.trailers.as_ref().and_then(Code::of);
        said.or_else(|| Code::of(&self.head))
    }

    pub(crate) fn is_trailers_only(&self) -> bool {
        Code::of(&self.head).is_some() && self.trailers.is_none() && self.data.is_empty()
    }

    pub(crate) fn message(&self) -> &str {
        let fields = self.trailers.as_ref().unwrap_or(&self.head);
        fields["grpc-message"].to_str().unwrap()
    }
}

impl Client {
    /// Connects to `app`, in pools with the default limits.
    pub(crate) async fn of<A: App<Body: Body<Data = Bytes>>>(app: A) -> Self {
        Self::under(GrpcSettings::default(), app).await
    }

    /// Connects to `app`, in a pool with these settings.
    pub(crate) async fn under<A>(calls: GrpcSettings, app: A) -> Self
    where
        A: App<Body: Body<Data = Bytes>>,
    {
        let mut setup = ListenerSetup::new("test".parse().unwrap(), ([127, 0, 0, 1], 0).into());
        setup = setup.pool(Protocol::Http2, Protocol::Http2.defaults());
        let common = Protocol::Grpc.defaults().common;
        setup = setup.pool(Protocol::Grpc, PoolConfig::new(common, calls));
        let server = Server::builder().listener(setup, app).start().await;
        let server = server.unwrap();
        let (_, address) = server.addresses().remove(0);
        let near = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let client = hyper::client::conn::http2::handshake(TokioExecutor::new(), near);
        let (sender, connection) = client.await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(connection.map(drop));
        Self {
            sender,
            tasks,
            server,
        }
    }

    /// A call with these pieces of a body.
    pub(crate) async fn call(&mut self, path: &str, pieces: Vec<Bytes>) -> Answer {
        let frames = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
        self.ask(request(path, StreamBody::new(stream::iter(frames))))
            .await
    }

    pub(crate) async fn ask(&mut self, request: Request<Sent>) -> Answer {
        let response = self.begin(request).await;
        timeout(Duration::from_secs(10), rest(response))
            .await
            .expect("the answer ends")
    }

    pub(crate) async fn begin(&mut self, request: Request<Sent>) -> Response<Incoming> {
        let response = timeout(Duration::from_secs(10), self.sender.send_request(request)).await;
        response.expect("an answer begins").unwrap()
    }
}

/// All of an answer that has begun.
pub(crate) async fn rest(response: Response<Incoming>) -> Answer {
    let (head, mut body) = response.into_parts();
    let mut answer = Answer {
        status: head.status,
        head: head.headers,
        data: Vec::new(),
        trailers: None,
        broken: false,
    };
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => answer.data.extend_from_slice(&data),
            Ok(Err(frame)) => answer.trailers = frame.into_trailers().ok(),
            Err(_) => {
                answer.broken = true;
                break;
            }
        }
    }
    answer
}

pub(crate) fn request<B>(path: &str, body: B) -> Request<Sent>
where
    B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    let request = Request::post(format!("http://wharf{path}"));
    let request = request.header("content-type", "application/grpc");
    request
        .header("te", "trailers")
        .body(body.boxed_unsync())
        .unwrap()
}

/// A body that is sent as the other end says.
pub(crate) fn body_of(
    pieces: mpsc::Receiver<Bytes>,
) -> impl Body<Data = Bytes, Error = BoxError> + Send {
    StreamBody::new(stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((Ok(Frame::data(piece)), pieces))
    }))
}

/// A message of `length` bytes.
pub(crate) fn message(length: usize) -> Bytes {
    let mut bytes = BytesMut::zeroed(5);
    bytes[1..].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    bytes.put_bytes(0xff, length);
    bytes.freeze()
}

/// The body of an answer of these pieces, then `status` as trailers.
pub(crate) fn answer_of(
    pieces: impl Stream<Item = Bytes> + Send + 'static,
    status: Option<&'static str>,
) -> Response<Sent> {
    use futures_util::StreamExt;
    let data = pieces.map(|piece| Ok(Frame::data(piece)));
    let trailers = stream::iter(status.map(|status| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        Ok(Frame::trailers(trailers))
    }));
    head(StreamBody::new(data.chain(trailers)).boxed_unsync())
}

pub(crate) fn head(body: Sent) -> Response<Sent> {
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(body).unwrap()
}

/// A handler that takes the whole request and answers with its bytes.
pub(crate) async fn echo(request: Asked) -> Result<Response<Sent>, Infallible> {
    let body = request.into_body().collect().await;
    let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    Ok(answer_of(stream::iter([body]), Some("0")))
}

/// An application that is not gRPC.
pub(crate) async fn hello<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
}
