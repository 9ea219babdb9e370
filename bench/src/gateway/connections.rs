//! [`Connections`]: those of the load: of HTTP/1 as many as are needed, of HTTP/2 a few.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST, TE};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::sample::Outcome;
use super::spoken::Spoken;
use crate::peers::ANSWER;

/// The path of calls.
pub(super) const CALL: &str = "/bench.Echo/Unary";

/// A message of gRPC: not compressed, and five bytes.
pub(super) const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";

/// So many of HTTP/2.
const SHARED: usize = 8;

/// Those of a load.
pub(super) struct Connections {
    to: SocketAddr,
    spoken: Spoken,
    idle: RefCell<Vec<http1::SendRequest<Full<Bytes>>>>,
    shared: RefCell<Vec<http2::SendRequest<Full<Bytes>>>>,
    turn: Cell<usize>,
}

impl Connections {
    pub(super) fn new(to: SocketAddr, spoken: Spoken) -> Self {
        Self {
            to,
            spoken,
            idle: RefCell::default(),
            shared: RefCell::default(),
            turn: Cell::new(0),
        }
    }

    /// Asks once; how it went, and how long the server behind had it.
    pub(super) async fn ask(&self) -> (Outcome, Duration) {
        let asked = match self.spoken {
            Spoken::Http1 => self.over_http1().await,
            Spoken::Http2 | Spoken::Grpc => self.over_http2().await,
        };
        asked.unwrap_or((Outcome::Broken, Duration::ZERO))
    }

    async fn over_http1(&self) -> Result<(Outcome, Duration)> {
        let idle = self.idle.borrow_mut().pop();
        let mut sender = if let Some(sender) = idle.filter(http1::SendRequest::is_ready) {
            sender
        } else {
            let (sender, connection) = http1::handshake(self.connect().await?).await?;
            tokio::task::spawn_local(connection);
            sender
        };
        let answer = sender.send_request(self.request()?).await?;
        let said = read(answer, self.spoken).await?;
        if sender.ready().await.is_ok() {
            self.idle.borrow_mut().push(sender);
        }
        Ok(said)
    }

    async fn over_http2(&self) -> Result<(Outcome, Duration)> {
        let turn = self.turn.get();
        self.turn.set(turn + 1);
        self.shared.borrow_mut().retain(|it| !it.is_closed());
        let there = self.shared.borrow().len();
        let mut sender = if there < SHARED {
            let executor = TokioExecutor::new();
            let (sender, connection) = http2::handshake(executor, self.connect().await?).await?;
            tokio::task::spawn_local(connection);
            self.shared.borrow_mut().push(sender.clone());
            sender
        } else {
            self.shared.borrow()[turn % there].clone()
        };
        sender.ready().await?;
        read(sender.send_request(self.request()?).await?, self.spoken).await
    }

    async fn connect(&self) -> Result<TokioIo<TcpStream>> {
        let stream = TcpStream::connect(self.to).await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(stream))
    }

    fn request(&self) -> Result<Request<Full<Bytes>>> {
        let body = Full::new(Bytes::from_static(MESSAGE));
        let request = match self.spoken {
            Spoken::Http1 => Request::get("/hello")
                .header(HOST, "localhost")
                .body(Full::default()),
            Spoken::Http2 => {
                Request::get(format!("http://{}/hello", self.to)).body(Full::default())
            }
            Spoken::Grpc => Request::builder()
                .method(Method::POST)
                .uri(format!("http://{}{CALL}", self.to))
                .header(CONTENT_TYPE, "application/grpc")
                .header(TE, "trailers")
                .body(body),
        };
        request.context("a request")
    }
}

/// Reads an answer to its end, and sees that it is the one that it should be.
async fn read(answer: Response<Incoming>, spoken: Spoken) -> Result<(Outcome, Duration)> {
    let status = answer.status();
    let took = answer.headers().get("x-took");
    let took = took.and_then(|it| it.to_str().ok()?.parse().ok());
    let took = Duration::from_micros(took.unwrap_or(0));
    let body = answer.into_body().collect().await?;
    let well = body.trailers().and_then(|it| it.get("grpc-status"));
    let well = spoken != Spoken::Grpc || well.is_some_and(|it| it == "0");
    let whole = body.to_bytes().ends_with(ANSWER);
    if status.is_success() && well && whole {
        Ok((Outcome::Answered, took))
    } else {
        Ok((Outcome::Wrong(status.as_u16()), took))
    }
}
