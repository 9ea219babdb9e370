//! [`Channel`]: one connection, on which anybody's stubs can make calls.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tower_service::Service;

use super::BoxError;

/// One connection of hyper's; it goes with the last clone.
#[derive(Debug)]
pub struct Channel<B> {
    sender: SendRequest<B>,
    connection: Arc<JoinSet<hyper::Result<()>>>,
}

impl<B> Clone for Channel<B> {
    fn clone(&self) -> Self {
        let (sender, connection) = (self.sender.clone(), Arc::clone(&self.connection));
        Self { sender, connection }
    }
}

impl<B> Channel<B>
where
    B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    /// A connection over these bytes.
    pub async fn over<T>(io: T) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await;
        let (sender, running) = handshake.expect("bytes go over");
        let mut connection = JoinSet::new();
        connection.spawn(running);
        let connection = Arc::new(connection);
        Self { sender, connection }
    }
}

impl<B: Body + Send + 'static> Service<Request<B>> for Channel<B> {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}
