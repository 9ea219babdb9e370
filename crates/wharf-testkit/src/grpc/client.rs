//! [`Client`]: a client that sends gRPC's bytes as it is told.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower_service::Service;

use super::{BoxError, Channel, Sent, asked};

/// How long an answer may take to begin, and then to end.
const SOON: Duration = Duration::from_secs(10);

/// A client that sends gRPC's bytes as it is told.
#[derive(Debug)]
pub struct Client(Channel<Sent>);

/// All of an answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The status code of HTTP.
    pub status: StatusCode,
    /// The fields of the head.
    pub head: HeaderMap,
    /// The messages, behind their prefixes.
    pub data: Vec<u8>,
    /// What followed the messages.
    pub trailers: Option<HeaderMap>,
    /// Whether the stream was reset.
    pub broken: bool,
}

/// A body that is sent as the other end of a channel says.
#[derive(Debug)]
pub struct Pieces(mpsc::Receiver<Bytes>);

impl Client {
    /// A connection over these bytes.
    pub async fn over<T>(io: T) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self(Channel::over(io).await)
    }

    /// A call with these pieces of a body.
    pub async fn call(&mut self, path: &str, pieces: Vec<Bytes>) -> Answer {
        let (sender, body) = mpsc::channel(pieces.len().max(1));
        for piece in pieces {
            sender.try_send(piece).expect("there is room for all");
        }
        drop(sender);
        self.ask(request(path, Pieces::from(body))).await
    }

    /// A request, and its answer.
    pub async fn ask(&mut self, request: Request<Sent>) -> Answer {
        let response = self.begin(request).await;
        let rest = timeout(SOON, rest(response)).await;
        rest.expect("the answer ends")
    }

    /// A request, and the head of its answer.
    pub async fn begin(&mut self, request: Request<Sent>) -> Response<Incoming> {
        let response = timeout(SOON, self.0.call(request)).await;
        let response = response.expect("an answer begins");
        response.expect("the connection is open")
    }
}

impl Answer {
    /// Whether the call was ended by the head of the answer alone.
    pub fn is_trailers_only(&self) -> bool {
        let told = self.head.contains_key("grpc-status");
        told && self.trailers.is_none() && self.data.is_empty()
    }

    /// Why the call has ended.
    pub fn message(&self) -> &str {
        let fields = self.trailers.as_ref().unwrap_or(&self.head);
        let message = fields["grpc-message"].to_str();
        message.expect("a message is ASCII")
    }
}

impl From<mpsc::Receiver<Bytes>> for Pieces {
    fn from(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self(pieces)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// A call with this body.
pub fn request<B>(path: &str, body: B) -> Request<Sent>
where
    B: Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    asked(path).map(|()| body.boxed_unsync())
}

/// All of an answer that has begun.
pub async fn rest(response: Response<Incoming>) -> Answer {
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
