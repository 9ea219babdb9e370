//! [`Client`]: asks an admin API, over TCP, TLS or a unix socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::{AdminUrl, Scheme};
use super::trust::{Trust, TrustError};
use crate::config::Token;

/// How long an answer may take. The door gives a request ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer that is read: a thousand pools are less.
const LARGEST: usize = 32 << 20;

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AskError {
    /// There is nobody.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Not a name that a certificate could have.
    #[error("no certificate is for this name")]
    Name(#[source] rustls::pki_types::InvalidDnsNameError),
    /// The conversation broke off.
    #[error("the connection broke off")]
    Broken(#[source] hyper::Error),
    /// The answer broke off, or is too long.
    #[error("the answer cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Too slow.
    #[error("no answer in 5 s")]
    Late,
    /// The answer was another one.
    #[error("the server refuses ({0}): {1}")]
    Refused(StatusCode, String),
    /// The answer is none of wharf's.
    #[error("the answer is not JSON")]
    Foreign(#[source] serde_json::Error),
}

/// Asks one admin API; keeps a connection to it between two questions.
pub(super) struct Client {
    admin: AdminUrl,
    bearer: Option<HeaderValue>,
    tls: Option<TlsConnector>,
    open: Option<SendRequest<Empty<Bytes>>>,
    /// What moves the bytes of its connections.
    drivers: JoinSet<()>,
}

impl Client {
    /// A client that has not asked anything yet.
    ///
    /// # Errors
    ///
    /// [`TrustError`], where the address needs TLS.
    pub(super) fn new(
        admin: AdminUrl,
        token: Option<Token>,
        trust: &Trust,
    ) -> Result<Self, TrustError> {
        let secured = matches!(
            admin,
            AdminUrl::Tcp {
                scheme: Scheme::Https,
                ..
            }
        );
        let tls = secured.then(|| trust.config()).transpose()?;
        Ok(Self {
            admin,
            bearer: token.and_then(|token| token.bearer()),
            tls: tls.map(|config| TlsConnector::from(Arc::new(config))),
            open: None,
            drivers: JoinSet::new(),
        })
    }

    /// Another client of the same.
    pub(super) fn again(&self) -> Self {
        Self {
            admin: self.admin.clone(),
            bearer: self.bearer.clone(),
            tls: self.tls.clone(),
            open: None,
            drivers: JoinSet::new(),
        }
    }

    /// Whether it answers, as somebody who may ask.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    pub(super) async fn reach(&self) -> Result<(), AskError> {
        self.again().get("/health").await.map(drop)
    }

    /// Asks for JSON.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    ///
    /// # Cancel safety
    ///
    /// A dropped call gives its connection up.
    pub(super) async fn get(&mut self, path: &str) -> Result<Value, AskError> {
        let asked = async {
            let mut sender = self.sender().await?;
            let answer = sender.send_request(self.request(path, None)).await;
            let body = read(answer.map_err(AskError::Broken)?).await?;
            Ok((body, sender))
        };
        let (body, sender) = timeout(PATIENCE, asked)
            .await
            .map_err(|_| AskError::Late)??;
        self.open = Some(sender);
        serde_json::from_slice(&body).map_err(AskError::Foreign)
    }

    /// Begins to read a stream, after the event of that id.
    ///
    /// # Errors
    ///
    /// [`AskError`].
    ///
    /// # Cancel safety
    ///
    /// A dropped call gives its connection up.
    pub(super) async fn stream(
        &mut self,
        path: &str,
        last: Option<&str>,
    ) -> Result<Incoming, AskError> {
        let asked = async {
            let mut sender = self.sender().await?;
            let answer = sender.send_request(self.request(path, last)).await;
            let answer = answer.map_err(AskError::Broken)?;
            match answer.status() {
                StatusCode::OK => Ok(answer.into_body()),
                _ => Err(read(answer)
                    .await
                    .map_or_else(|error| error, |_| AskError::Late)),
            }
        };
        timeout(PATIENCE, asked).await.map_err(|_| AskError::Late)?
    }

    fn request(&self, path: &str, last: Option<&str>) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::from_str(&self.admin.authority()) {
            headers.insert(header::HOST, host);
        }
        if let Some(bearer) = &self.bearer {
            headers.insert(header::AUTHORIZATION, bearer.clone());
        }
        if let Some(last) = last.and_then(|id| HeaderValue::from_str(id).ok()) {
            headers.insert("last-event-id", last);
        }
        request
    }

    /// The connection that is open, or a new one.
    async fn sender(&mut self) -> Result<SendRequest<Empty<Bytes>>, AskError> {
        if let Some(mut open) = self.open.take()
            && open.ready().await.is_ok()
        {
            return Ok(open);
        }
        // What is over is forgotten: there is one connection at a time.
        self.drivers.abort_all();
        while self.drivers.try_join_next().is_some() {}
        match &self.admin {
            AdminUrl::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(AskError::Connect)?;
                self.speak(stream).await
            }
            AdminUrl::Tcp { host, port, .. } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(AskError::Connect)?;
                match self.tls.clone() {
                    None => self.speak(stream).await,
                    Some(tls) => {
                        let name = ServerName::try_from(host.clone()).map_err(AskError::Name)?;
                        let stream = tls.connect(name, stream).await.map_err(AskError::Connect)?;
                        self.speak(stream).await
                    }
                }
            }
        }
    }

    async fn speak<T>(&mut self, stream: T) -> Result<SendRequest<Empty<Bytes>>, AskError>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(AskError::Broken)?;
        self.drivers.spawn(async {
            // Whoever asks by it is told what went wrong.
            connection.await.ok();
        });
        Ok(sender)
    }
}

/// Reads an answer, and a refusal as an error.
async fn read(answer: Response<Incoming>) -> Result<Bytes, AskError> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST).collect().await;
    let body = body.map_err(AskError::Body)?.to_bytes();
    if status == StatusCode::OK {
        return Ok(body);
    }
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem["detail"].as_str().unwrap_or("no reason given");
    let remedy = if status == StatusCode::UNAUTHORIZED {
        "; name its file with --token-file"
    } else {
        ""
    };
    Err(AskError::Refused(status, format!("{detail}{remedy}")))
}
