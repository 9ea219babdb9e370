//! An honest client: the `h2` crate's.

use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Method, StatusCode};
use tokio::task::JoinHandle;

use super::*;

/// An honest client.
pub(super) struct Client {
    sender: SendRequest<Bytes>,
    /// How its connection has ended.
    pub(super) ended: JoinHandle<Result<(), h2::Error>>,
}

/// All of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
    pub(super) data: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
}

/// A request that is being answered.
pub(super) struct Begun {
    pub(super) response: ResponseFuture,
    pub(super) body: SendStream<Bytes>,
}

/// A request for this path.
pub(super) fn asked(method: Method, path: &str) -> Request<()> {
    let request = Request::builder().method(method);
    request.uri(format!("http://t{path}")).body(()).unwrap()
}

impl Client {
    /// One that takes all that comes.
    pub(super) async fn over(io: DuplexStream) -> Self {
        Self::with(io, |_| {}).await
    }

    /// One with settings of its own.
    pub(super) async fn with(io: DuplexStream, change: impl FnOnce(&mut Builder)) -> Self {
        let mut builder = Builder::new();
        change(&mut builder);
        let (sender, connection) = builder.handshake(io).await.unwrap();
        let ended = TaskTracker::new().spawn(connection);
        Self { sender, ended }
    }

    /// Begins a request whose body, if it has one, is to come.
    pub(super) async fn begin(&self, request: Request<()>, ends: bool) -> Result<Begun, h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        let (response, body) = sender.send_request(request, ends)?;
        Ok(Begun { response, body })
    }

    /// A request without a body, and its answer.
    pub(super) async fn ask(&self, request: Request<()>) -> Result<Answer, h2::Error> {
        self.begin(request, true).await?.whole().await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, h2::Error> {
        self.ask(asked(Method::GET, path)).await
    }

    /// The code that the stream of a GET is reset with.
    pub(super) async fn reset_of(&self, path: &str) -> Option<Reason> {
        self.get(path).await.unwrap_err().reason()
    }

    /// A request with this body, and its answer.
    pub(super) async fn post(&self, path: &str, body: &[u8]) -> Result<Answer, h2::Error> {
        let begun = self.begin(asked(Method::POST, path), false).await?;
        begun.with_body(body).await
    }
}

impl Begun {
    /// Sends the body as fast as it is taken, and reads the answer.
    pub(super) async fn with_body(mut self, body: &[u8]) -> Result<Answer, h2::Error> {
        let mut left = Bytes::copy_from_slice(body);
        while !left.is_empty() {
            self.body.reserve_capacity(left.len());
            let room = std::future::poll_fn(|cx| self.body.poll_capacity(cx)).await;
            // Whoever wants no more of it may have answered already.
            let Some(Ok(room)) = room else { break };
            let piece = left.split_to(room.min(left.len()));
            if self.body.send_data(piece, left.is_empty()).is_err() {
                break;
            }
        }
        self.whole().await
    }

    /// All of the answer.
    pub(super) async fn whole(self) -> Result<Answer, h2::Error> {
        let (head, mut body) = self.response.await?.into_parts();
        let mut data = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            data.extend(piece);
        }
        let trailers = body.trailers().await?;
        Ok(Answer {
            status: head.status,
            fields: head.headers,
            data,
            trailers,
        })
    }
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.data).unwrap()
    }

    /// How a call has ended.
    pub(super) fn code(&self) -> Option<&str> {
        let fields = self.trailers.as_ref().unwrap_or(&self.fields);
        fields.get("grpc-status")?.to_str().ok()
    }
}
