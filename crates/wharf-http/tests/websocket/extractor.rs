//! Sessions of wharf's own extractor, over HTTP/1 and HTTP/2 (RFC 8441), on real sockets.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wharf_http::pool::config::Count;
use wharf_http::pool::{CloseReason, Pool};
use wharf_http::websocket::{Message, WebSocket, WebSocketUpgrade};
use wharf_http::{HttpConnection, ListenerSetup, Protocol, Running, Server};
use wharf_testkit::Peer;
use wharf_testkit::http2::Client;
use wharf_testkit::websocket::{BINARY, CLOSE, Session, Stream, TEXT, close, connect};

use crate::support::{eventually, millis, next_reason};

fn app() -> Router {
    Router::new()
        .route("/ws", any(echo))
        .route("/streams", any(through_streams))
        .route("/hello", get(async || "Hello, World!"))
}

async fn echo(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(async |mut session: WebSocket| {
        while let Some(Ok(message)) = session.recv().await {
            if session.send(message).await.is_err() {
                return;
            }
        }
    })
}

/// The same by `Stream` and `Sink`, in two tasks.
async fn through_streams(upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(async |session: WebSocket| {
        let (mut sender, receiver) = session.split();
        let heard = receiver.filter_map(async |heard: Result<Message, _>| heard.ok());
        let mut telling = JoinSet::new();
        let (give, mut take) = tokio::sync::mpsc::channel(4);
        telling.spawn(async move {
            while let Some(message) = take.recv().await {
                SinkExt::send(&mut sender, message).await.ok();
            }
        });
        let mut heard = std::pin::pin!(heard);
        while let Some(message) = heard.next().await {
            give.send(message).await.ok();
        }
        drop(give);
        telling.join_all().await;
    })
}

async fn start(sessions: u32) -> Running {
    let address = "127.0.0.1:0".parse().expect("an address");
    let mut config = Protocol::WebSocket.defaults();
    config.common.max_connections = Count::new(sessions);
    let setup = ListenerSetup::new("a".parse().expect("a name"), address)
        .pool(Protocol::Http, Protocol::Http.defaults())
        .pool(Protocol::Http2, Protocol::Http2.defaults())
        .pool(Protocol::WebSocket, config);
    let server = Server::builder().listener(setup, app());
    server.start().await.expect("it can be had")
}

fn pool(running: &Running, protocol: &str) -> Pool<HttpConnection> {
    let pools = running.registry().all();
    let found = pools
        .into_iter()
        .find(|it| it.name().protocol() == protocol);
    found.expect("it has the pool")
}

/// A client of HTTP/2 whose server has said that it has sessions.
async fn client(running: &Running) -> Client {
    let socket = TcpStream::connect(running.addresses()[0].1).await;
    let client = Client::over(socket.expect("it listens")).await;
    let said = || client.may_connect();
    eventually(said, || "it has no sessions".to_owned()).await;
    client
}

#[tokio::test]
async fn one_handler_serves_both_transports() {
    let running = start(2).await;
    let mut events = running.events().subscribe();
    let client = client(&running).await;
    let large: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    for path in ["/ws", "/streams"] {
        let peer = Peer::connect(running.addresses()[0].1).await;
        let mut session = Session::open(peer, path).await;
        session.say(TEXT, b"over one").await;
        assert_eq!(session.hear().await, (TEXT, b"over one".to_vec()));
        session.say(BINARY, &large).await;
        assert!(session.hear().await == (BINARY, large.clone()));

        let mut stream = Stream::open(&client, connect(path)).await;
        let counts = pool(&running, "websocket").occupancy();
        assert_eq!((counts.active, counts.berths), (1, 1));
        let refused = Stream::ask(&client, connect(path)).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        stream.say(TEXT, b"over two").await;
        assert_eq!(stream.hear().await, Some((TEXT, b"over two".to_vec())));
        stream.say(BINARY, &large).await;
        assert!(stream.hear().await == Some((BINARY, large.clone())));

        session.say(CLOSE, b"\x0f\xa0bye").await;
        assert_eq!(session.hear().await, close(4000, "bye"));
        let _ = session.io.closed(millis(1000)).await;
        assert_eq!(next_reason(&mut events).await, CloseReason::ClientClosed);
        stream.say(CLOSE, b"").await;
        assert_eq!(stream.hear().await, Some((CLOSE, b"".to_vec())));
        assert!(stream.is_over().await);
        let none = || pool(&running, "websocket").occupancy().berths == 0;
        eventually(none, || "the berth is taken".to_owned()).await;
    }
    assert_eq!(pool(&running, "http2").active(), 1);
    assert_eq!(pool(&running, "websocket").metrics().requests, 4);
    drop(client);
}

#[tokio::test]
async fn a_drain_says_close_on_every_stream_and_waits() {
    let running = start(100).await;
    let client = client(&running).await;
    let mut sessions = Vec::new();
    for _ in 0..20 {
        sessions.push(Stream::open(&client, connect("/ws")).await);
    }
    drop(client);
    let leaving = async {
        for stream in &mut sessions {
            assert_eq!(stream.hear().await, Some(close(1001, "")));
            stream.say(CLOSE, b"\x03\xe9").await;
            assert!(stream.is_over().await);
        }
        sessions.clear();
    };
    let (report, ()) = tokio::join!(running.drain(), leaving);
    assert_eq!((report.finished, report.cut), (1, 0));
    assert!(report.took < millis(3000), "{:?}", report.took);
}

#[tokio::test]
async fn without_sessions_no_stream_becomes_one() {
    let address = "127.0.0.1:0".parse().expect("an address");
    let setup = ListenerSetup::new("a".parse().expect("a name"), address)
        .pool(Protocol::Http2, Protocol::Http2.defaults());
    let server = Server::builder().listener(setup, app());
    let running = server.start().await.expect("it can be had");
    let socket = TcpStream::connect(running.addresses()[0].1).await;
    let client = Client::over(socket.expect("it listens")).await;
    let answer = client.get("/ws").await.expect("an answer");
    // What the handler asks for cannot be had.
    assert_eq!(answer.status, 426);
    assert!(!client.may_connect());
}
