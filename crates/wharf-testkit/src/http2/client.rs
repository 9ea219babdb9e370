//! [`Client`]: an honest client, the `h2` crate's.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::grpc;

/// An honest client. Dropped, it says goodbye and leaves.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// All of an answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The fields of the head.
    pub fields: HeaderMap,
    /// The body.
    pub data: Vec<u8>,
    /// What followed the body.
    pub trailers: Option<HeaderMap>,
}

/// A request that is being answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Begun {
    /// The answer, when it has begun.
    pub response: ResponseFuture,
    /// The rest of the request.
    pub body: SendStream<Bytes>,
}

/// A request for this path, to the authority `t`.
pub fn asked(method: Method, path: &str) -> Request<()> {
    let request = Request::builder().method(method);
    let request = request.uri(format!("http://t{path}")).body(());
    request.expect("a request")
}

impl Client {
    /// One that takes all that comes.
    pub async fn over<T>(io: T) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handshake = h2::client::handshake(io).await;
        let (sender, connection) = handshake.expect("bytes go over");
        let connection = TaskTracker::new().spawn(connection);
        Self { sender, connection }
    }

    /// Leaves without a word, in the middle of whatever there is.
    pub fn vanish(self) {
        self.connection.abort();
    }

    /// Waits for the end of the connection: in good order, or by a fault.
    ///
    /// # Errors
    ///
    /// The fault.
    pub async fn ended(self) -> Result<(), h2::Error> {
        // Its sender stays: without one the client would leave by itself.
        let Self { sender, connection } = self;
        let ended = connection.await.expect("its task runs to its end");
        drop(sender);
        ended
    }

    /// Whether the server has said that streams may be more than requests (RFC 8441).
    pub fn may_connect(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
    }

    /// Begins a request whose body, if it has one, is to come.
    ///
    /// # Errors
    ///
    /// The connection takes no more streams.
    pub async fn begin(&self, request: Request<()>, ends: bool) -> Result<Begun, h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        let (response, body) = sender.send_request(request, ends)?;
        Ok(Begun { response, body })
    }

    /// A request without a body, and its answer.
    ///
    /// # Errors
    ///
    /// The stream or the connection has ended before the answer.
    pub async fn ask(&self, request: Request<()>) -> Result<Answer, h2::Error> {
        self.begin(request, true).await?.whole().await
    }

    /// A GET, and its answer.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub async fn get(&self, path: &str) -> Result<Answer, h2::Error> {
        self.ask(asked(Method::GET, path)).await
    }

    /// The code that the stream of a GET is reset with.
    pub async fn reset_of(&self, path: &str) -> Option<Reason> {
        let answer = self.get(path).await;
        answer.expect_err("the stream is reset").reason()
    }

    /// A POST with this body, and its answer.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub async fn post(&self, path: &str, body: &[u8]) -> Result<Answer, h2::Error> {
        let request = asked(Method::POST, path);
        let begun = self.begin(request, body.is_empty()).await?;
        begun.with_body(body).await
    }

    /// A gRPC call with one message of this content, and its answer.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub async fn call(&self, path: &str, content: &[u8]) -> Result<Answer, h2::Error> {
        let begun = self.begin(grpc::asked(path), false).await?;
        begun.with_body(&grpc::framed(content)).await
    }
}

impl Begun {
    /// Sends the body as fast as it is taken, and reads the answer meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub async fn with_body(self, body: &[u8]) -> Result<Answer, h2::Error> {
        let mut left = Bytes::copy_from_slice(body);
        let Self { response, mut body } = self;
        let sends = async {
            while !left.is_empty() {
                body.reserve_capacity(left.len());
                let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
                // Whoever wants no more of it may have answered already.
                let Some(Ok(room)) = room else { return };
                let piece = left.split_to(room.min(left.len()));
                if body.send_data(piece, left.is_empty()).is_err() {
                    return;
                }
            }
        };
        let ((), answer) = tokio::join!(sends, whole(response));
        answer
    }

    /// All of the answer.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub async fn whole(self) -> Result<Answer, h2::Error> {
        // Its body stays to the end: dropped before, the request were given up.
        let Self { response, body } = self;
        let answer = whole(response).await;
        drop(body);
        answer
    }
}

async fn whole(response: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut body) = response.await?.into_parts();
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

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.data).expect("the body is text")
    }

    /// How a call has ended.
    pub fn code(&self) -> Option<&str> {
        let fields = self.trailers.as_ref().unwrap_or(&self.fields);
        fields.get("grpc-status")?.to_str().ok()
    }
}
