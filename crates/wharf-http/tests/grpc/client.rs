//! A client on a server of its own, and services that answer with bytes.

use std::convert::Infallible;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::net::TcpStream;
use wharf_http::grpc::{Code, RequestBody};
use wharf_http::pool::config::PoolConfig;
use wharf_http::{App, GrpcSettings, ListenerSetup, Protocol, Running, Server};
use wharf_testkit::grpc;

pub(crate) use wharf_testkit::grpc::{Pieces, Sent, message, request, rest};

pub(crate) type Asked = Request<RequestBody<wharf_http::RequestBody>>;

/// A client on a connection of a server of its own; both ends go with it.
pub(crate) struct Client {
    client: grpc::Client,
    #[expect(dead_code, reason = "held for its drop")]
    server: Running,
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
        let socket = TcpStream::connect(address).await.unwrap();
        // Else a message waits for the acknowledgement of its head, which the kernel delays.
        socket.set_nodelay(true).unwrap();
        let client = grpc::Client::over(socket).await;
        Self { client, server }
    }
}

impl Deref for Client {
    type Target = grpc::Client;

    fn deref(&self) -> &grpc::Client {
        &self.client
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut grpc::Client {
        &mut self.client
    }
}

/// What the caller takes a call's end for.
pub(crate) trait Ended {
    fn code(&self) -> Option<Code>;
}

impl Ended for grpc::Answer {
    fn code(&self) -> Option<Code> {
        let said = self.trailers.as_ref().and_then(Code::of);
        said.or_else(|| Code::of(&self.head))
    }
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
