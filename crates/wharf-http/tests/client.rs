//! An HTTP/2 client on any bytes: the `h2` crate's.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

/// An HTTP/2 client; its connection goes with it.
pub(crate) struct Client {
    sender: SendRequest<Bytes>,
    #[expect(dead_code, reason = "held for its drop")]
    connection: JoinSet<Result<(), h2::Error>>,
}

/// All of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) data: Vec<u8>,
    /// The fields of its head, then those of its trailers.
    fields: [HeaderMap; 2],
}

impl Client {
    pub(crate) async fn over<T>(io: T) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handshake = h2::client::handshake(io).await;
        let (sender, running) = handshake.expect("bytes go over");
        let mut connection = JoinSet::new();
        connection.spawn(running);
        Self { sender, connection }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, h2::Error> {
        let request = Request::get(format!("http://test{path}")).body(());
        self.ask(request.expect("a request"), Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Bytes) -> Result<Answer, h2::Error> {
        let request = Request::post(format!("http://test{path}")).body(());
        self.ask(request.expect("a request"), body).await
    }

    /// A gRPC call with one message of these bytes.
    pub(crate) async fn call(&self, path: &str, message: &[u8]) -> Result<Answer, h2::Error> {
        let request = Request::post(format!("http://test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(());
        let length = u32::try_from(message.len()).expect("a short message");
        let body = [&[0][..], &length.to_be_bytes(), message].concat();
        self.ask(request.expect("a request"), body.into()).await
    }

    async fn ask(&self, request: Request<()>, mut body: Bytes) -> Result<Answer, h2::Error> {
        let mut sender = self.sender.clone().ready().await?;
        let (response, mut stream) = sender.send_request(request, body.is_empty())?;
        let sends = async {
            while !body.is_empty() {
                stream.reserve_capacity(body.len());
                let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                let Some(Ok(room)) = room else { return };
                let piece = body.split_to(room.min(body.len()));
                if stream.send_data(piece, body.is_empty()).is_err() {
                    return;
                }
            }
        };
        let takes = async {
            let (head, mut body) = response.await?.into_parts();
            let mut data = Vec::new();
            while let Some(piece) = body.data().await {
                let piece = piece?;
                body.flow_control().release_capacity(piece.len())?;
                data.extend(piece);
            }
            let trailers = body.trailers().await?.unwrap_or_default();
            Ok(Answer {
                status: head.status,
                data,
                fields: [head.headers, trailers],
            })
        };
        let ((), answer) = tokio::join!(sends, takes);
        answer
    }
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.data).expect("the body is text")
    }

    /// How a call has ended.
    pub(crate) fn code(&self) -> Option<&str> {
        let mut fields = self.fields.iter().rev();
        let status = fields.find_map(|fields| fields.get("grpc-status"))?;
        status.to_str().ok()
    }
}
