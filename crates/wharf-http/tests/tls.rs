//! TLS over real sockets: what ALPN agrees on, handshakes that stall, and certificates that are
//! replaced under load.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt;
use rustls::ClientConfig;
use rustls::pki_types::UnixTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;
use wharf_http::grpc;
use wharf_http::pool::{CloseReason, PoolName};
use wharf_http::tls::{Alpn, Certificate, Certificates, ClientAuth, UtcTime};
use wharf_http::{ListenerSetup, Protocol, Running, Server};
use wharf_testkit::Peer;
use wharf_testkit::certificates::Authority;
use wharf_testkit::http2::Client;
use wharf_testkit::tls::{self, hostile::stall};

use crate::app::app;
use crate::support::{eventually, millis, next_reason};

/// A server with TLS: a router, and a gRPC service beside it.
struct Secured {
    running: Running,
    address: SocketAddr,
    authority: Authority,
    certificates: Certificates,
}

impl Secured {
    async fn start() -> Self {
        Self::with_handshakes_of("10s").await
    }

    /// One whose clients have so long for their handshakes.
    async fn with_handshakes_of(limit: &str) -> Self {
        let authority = Authority::new("a CA");
        let certificates = Certificates::new(issued(&authority), Vec::new());
        let name = "test".parse().expect("a name");
        let mut setup = ListenerSetup::new(name, ([127, 0, 0, 1], 0).into())
            .tls(certificates.clone(), ClientAuth::Off);
        for protocol in [Protocol::Https, Protocol::Http2, Protocol::Grpc] {
            let config = protocol.defaults();
            let mut patch = config.patch();
            let set = patch.set("tls_handshake_timeout", &limit.into());
            set.expect("a key");
            let (config, _) = config.patched(&patch).expect("it can be used");
            setup = setup.pool(protocol, config);
        }
        let app = grpc::beside(app(), tower::service_fn(echo));
        let server = Server::builder().listener(setup, app);
        let running = server.start().await.expect("it can be had");
        Self {
            address: running.addresses()[0].1,
            running,
            authority,
            certificates,
        }
    }

    fn trusting(&self, alpn: &[&str]) -> Arc<ClientConfig> {
        tls::Client::of(&self.authority).alpn(alpn).config()
    }

    async fn connect(&self, alpn: &[&str]) -> TlsStream<TcpStream> {
        connect(self.address, self.trusting(alpn)).await
    }

    fn active(&self, protocol: Protocol) -> u32 {
        let listener = "test".parse().expect("a name");
        let name = PoolName::new(&listener, protocol.as_str()).expect("a name");
        let pool = self.running.registry().get(&name);
        pool.expect("it has the pool").active()
    }

    /// Connections for HTTP/1, for HTTP/2 and for calls.
    fn counts(&self) -> [u32; 3] {
        [Protocol::Https, Protocol::Http2, Protocol::Grpc].map(|it| self.active(it))
    }
}

async fn connect(address: SocketAddr, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(address).await.expect("it listens");
    let connected = tls::connect(&config, "wharf.test", socket).await;
    connected.expect("a handshake")
}

fn issued(authority: &Authority) -> Certificate {
    let now = UnixTime::now().as_secs().try_into().expect("a time");
    let identity = authority.server(&["wharf.test"]);
    let (chain, key) = (identity.certificate_pem(), identity.key_pem());
    let now = UtcTime::from_unix_seconds(now);
    Certificate::from_pem(chain.as_bytes(), key.as_bytes(), now).expect("a certificate")
}

/// The certificate that the server has shown.
fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates().expect("the server shows one");
    chain[0].to_vec()
}

type Called = http::Request<grpc::RequestBody<wharf_http::RequestBody>>;

/// A gRPC service as tonic's are: its messages go back as they came.
async fn echo(request: Called) -> Result<Response<axum::body::Body>, Infallible> {
    let body = request.into_body().collect().await;
    let message = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = http_body_util::Full::new(message).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(axum::body::Body::new(body));
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    Ok(response)
}

#[tokio::test]
async fn alpn_decides_which_version_is_spoken() {
    let server = Secured::start().await;
    let stream = server.connect(&["http/1.1", "h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = Client::over(stream).await;
    assert_eq!(
        client.get("/hello").await.expect("h2").text(),
        "Hello, World!"
    );
    assert_eq!(server.counts(), [0, 1, 0]);
    let connections = server.running.registry().connections();
    let tls = connections[0].connection().tls().expect("it is secured");
    assert_eq!(tls.alpn, Some(Alpn::Http2));

    for alpn in [&["http/1.1"][..], &[]] {
        let mut stream = server.connect(alpn).await;
        eventually(|| server.counts() == [1, 1, 0], || "elsewhere".to_owned()).await;
        let ask = b"GET /hello HTTP/1.1\r\nHost: wharf.test\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).await.expect("it is taken");
        let mut all = String::new();
        // In good order, with close_notify: else this is an error.
        stream.read_to_string(&mut all).await.expect("an end");
        assert!(all.starts_with("HTTP/1.1 200") && all.ends_with("Hello, World!"));
        drop(stream);
        eventually(|| server.counts() == [0, 1, 0], || "still there".to_owned()).await;
    }
}

#[tokio::test]
async fn a_router_and_calls_are_served_on_one_port() {
    let server = Secured::start().await;
    let browser = Client::over(server.connect(&["h2"]).await).await;
    let caller = Client::over(server.connect(&["h2"]).await).await;
    for _ in 0..3 {
        let page = browser.get("/hello").await.expect("a page");
        assert_eq!(page.text(), "Hello, World!");
        let answer = caller
            .call("/echo.Echo/Say", b"hello")
            .await
            .expect("an answer");
        assert_eq!((answer.status.as_u16(), answer.code()), (200, Some("0")));
        assert_eq!(answer.data, b"\0\0\0\0\x05hello");
    }
    assert_eq!(server.counts(), [0, 1, 1]);
    // Each of them serves the other kind too.
    let answer = browser
        .call("/echo.Echo/Say", b"")
        .await
        .expect("an answer");
    assert_eq!(answer.code(), Some("0"));
    let large = vec![7; 1 << 20];
    let answer = caller
        .call("/echo.Echo/Say", &large)
        .await
        .expect("an answer");
    assert!(answer.data.ends_with(&large));
    assert_eq!(caller.get("/hello").await.expect("a page").status, 200);
    assert_eq!(server.counts(), [0, 1, 1]);
    let figures = server.running.grpc_calls().figures();
    assert_eq!(
        (&*figures[0].method, figures[0].ended[0]),
        ("echo.Echo/Say", 5)
    );
    let report = server.running.drain().await;
    assert_eq!((report.finished, report.cut), (2, 0));
}

#[tokio::test]
async fn handshakes_that_stall_end_in_time_and_keep_nobody_waiting() {
    let server = Secured::with_handshakes_of("2s").await;
    let mut events = server.running.events().subscribe();
    let config = server.trusting(&["h2"]);
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut peer = Peer::connect(server.address).await;
        stall(&config, &mut peer).await;
        stalled.push(peer);
    }
    let client = Client::over(server.connect(&["h2"]).await).await;
    assert_eq!(client.get("/hello").await.expect("an answer").status, 200);
    for peer in &mut stalled {
        let (_, took) = peer.closed(millis(6000)).await;
        assert!(took >= millis(2000), "{took:?}");
    }
    for _ in 0..20 {
        assert_eq!(next_reason(&mut events).await, CloseReason::TlsTimeout);
    }
    assert_eq!(client.get("/hello").await.expect("an answer").status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_under_load_and_nobody_notices() {
    let server = Secured::start().await;
    let before = server.connect(&["h2"]).await;
    let first = shown(&before);
    let before = Client::over(before).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let (address, done) = (server.address, Arc::clone(&done));
        // A configuration of its own for each connection, so that no session is resumed.
        let configs: Vec<_> = (0..200).map(|_| server.trusting(&["h2"])).collect();
        clients.spawn(async move {
            let mut seen = Vec::new();
            for config in configs {
                let stream = connect(address, config).await;
                seen.push(shown(&stream));
                let client = Client::over(stream).await;
                let answer = client.get("/hello").await.expect("an answer");
                assert_eq!(answer.text(), "Hello, World!");
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
            seen.dedup();
            seen
        });
    }
    for _ in 0..10 {
        sleep(millis(50)).await;
        server
            .certificates
            .replace(issued(&server.authority), Vec::new());
        assert_eq!(before.get("/hello").await.expect("an answer").status, 200);
    }
    let last = shown(&server.connect(&["h2"]).await);
    assert_ne!(last, first);
    done.store(true, Ordering::Relaxed);
    for seen in clients.join_all().await {
        assert!(seen.len() >= 3, "{} certificates", seen.len());
    }
    assert_eq!(before.get("/hello").await.expect("an answer").status, 200);
}
