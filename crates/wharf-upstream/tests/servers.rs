//! Servers as an upstream meets them: good ones, made with hyper, and bad ones, made of bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use wharf_upstream::{SendBody, SendOptions, Upstream, UpstreamSetup};

/// A server that ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// What is done with each connection; it is told which one it is.
    pub(crate) async fn raw<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, serve)
    }

    pub(crate) fn on<F>(
        listener: TcpListener,
        serve: impl Fn(usize, TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut serving = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                serving.spawn(serve(count.fetch_add(1, Ordering::SeqCst), socket));
                while serving.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            connections,
            requests: Arc::default(),
            _tasks: tasks,
        }
    }

    /// HTTP/1 and HTTP/2 by prior knowledge. `/slow?N` answers after N milliseconds, `/status/N` with that
    /// status, `/echo` with what it was sent, anything else with the server's address.
    pub(crate) async fn good() -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        let server = Self::raw(move |_, socket| {
            let seen = Arc::clone(&seen);
            async move {
                let address = socket.local_addr().unwrap().to_string();
                serve_at(socket, seen, address).await;
            }
        });
        Self {
            requests,
            ..server.await
        }
    }
}

/// Serves one connection as [`Server::good`] does, without its address.
pub(crate) async fn serve<Io>(io: Io, seen: Arc<AtomicUsize>)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    serve_at(io, seen, String::new()).await;
}

async fn serve_at<Io>(io: Io, seen: Arc<AtomicUsize>, address: String)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        seen.fetch_add(1, Ordering::SeqCst);
        answer(request, address.clone())
    });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    // How it ends is the other side's to tell.
    drop(builder.serve_connection(TokioIo::new(io), service).await);
}

async fn answer(
    request: Request<Incoming>,
    address: String,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    if let Some(millis) = request.uri().query().and_then(|it| it.parse().ok()) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    let status = path.strip_prefix("/status/").and_then(|it| it.parse().ok());
    let body = if path == "/echo" {
        request.into_body().collect().await?.to_bytes()
    } else {
        Bytes::from(address)
    };
    let answer = Response::builder().status(status.unwrap_or(200_u16));
    Ok(answer.body(Full::new(body)).unwrap())
}

/// An address at which nobody listens, and nobody else can while the socket is kept.
pub(crate) fn nobody() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://{}", socket.local_addr().unwrap());
    (socket, address)
}

/// Reads one request head; false if the other side has closed.
pub(crate) async fn head(socket: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => seen.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// An upstream of these endpoints, changed as `change` says.
pub(crate) fn upstream(endpoints: &[String], change: impl FnOnce(&mut UpstreamSetup)) -> Upstream {
    let endpoints: Vec<_> = endpoints.iter().map(|it| it.parse().unwrap()).collect();
    let mut setup = UpstreamSetup::new("api".parse().unwrap(), endpoints);
    change(&mut setup);
    Upstream::start(setup).unwrap()
}

pub(crate) fn get(path: &str) -> Request<SendBody> {
    Request::get(path).body(SendBody::default()).unwrap()
}

/// Sends a GET and reads the answer to its end.
pub(crate) async fn ask(
    upstream: &Upstream,
    path: &str,
) -> Result<(u16, String), wharf_upstream::SendError> {
    let answer = upstream.send(get(path), &SendOptions::default()).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// Waits until something is so: for what goes on changing after the call that began it.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    unreachable!("never came true: {what}");
}
