//! Sessions of wharf's own extractor, over HTTP/1 and HTTP/2 (RFC 8441), on real sockets.

use std::future::poll_fn;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use h2::client::SendRequest;
use h2::ext::Protocol as Spoken;
use h2::{RecvStream, SendStream};
use http::{Method, Request, StatusCode};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wharf_http::pool::config::Count;
use wharf_http::pool::{CloseReason, Pool};
use wharf_http::websocket::{Message, WebSocket, WebSocketUpgrade};
use wharf_http::{HttpConnection, ListenerSetup, Protocol, Running, Server};
use wharf_testkit::Peer;

use super::{ASK, BINARY, CLOSE, TEXT, frame, masked, reason};
use crate::support::{eventually, millis};

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
async fn client(running: &Running) -> (SendRequest<Bytes>, JoinSet<()>) {
    let socket = TcpStream::connect(running.addresses()[0].1).await;
    let handshake = h2::client::handshake(socket.expect("it listens")).await;
    let (sender, connection) = handshake.expect("bytes go over");
    let mut running = JoinSet::new();
    running.spawn(async move {
        connection.await.ok();
    });
    let said = || sender.is_extended_connect_protocol_enabled();
    eventually(said, || "it has no sessions".to_owned()).await;
    (sender, running)
}

/// Asks for a session on a stream.
async fn ask(
    sender: &SendRequest<Bytes>,
    path: &str,
) -> (StatusCode, SendStream<Bytes>, RecvStream) {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://t{path}"))
        .header("sec-websocket-version", "13")
        .body(())
        .expect("a request");
    let spoken = Spoken::from_static("websocket");
    request.extensions_mut().insert(spoken);
    let mut sender = sender.clone().ready().await.expect("a stream");
    let (answer, send) = sender.send_request(request, false).expect("it is open");
    let (head, receive) = answer.await.expect("an answer").into_parts();
    (head.status, send, receive)
}

/// So many bytes of a stream, with room for as many.
async fn take(receive: &mut RecvStream, bytes: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    while taken.len() < bytes {
        let data = receive.data().await.expect("more").expect("it is open");
        let flow = receive.flow_control();
        flow.release_capacity(data.len()).expect("it was taken");
        taken.extend(data);
    }
    assert_eq!(taken.len(), bytes);
    taken
}

/// Nothing more comes but the end.
async fn ended(receive: &mut RecvStream) {
    while let Some(data) = receive.data().await {
        assert!(data.expect("it ends in good order").is_empty());
    }
}

/// A client's frame of any length, with a mask of zeros.
fn long(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_be_bytes();
    [&[first, 0xff], &length[..], &[0; 4], payload].concat()
}

async fn send_all(send: &mut SendStream<Bytes>, mut bytes: Bytes) {
    while !bytes.is_empty() {
        send.reserve_capacity(bytes.len());
        let room = poll_fn(|cx| send.poll_capacity(cx)).await;
        let room = room.expect("it is open").expect("it is open");
        let piece = bytes.split_to(room.min(bytes.len()));
        send.send_data(piece, false).expect("it is open");
    }
}

#[tokio::test]
async fn one_handler_serves_both_transports() {
    let running = start(2).await;
    let mut events = running.events().subscribe();
    let (sender, connection) = client(&running).await;
    let large: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    for path in ["/ws", "/streams"] {
        let mut peer = Peer::connect(running.addresses()[0].1).await;
        peer.send(ASK.replace("/ws", path)).await;
        assert_eq!(peer.response().await.status, 101);
        peer.send(masked(TEXT, b"over one")).await;
        assert_eq!(frame(&mut peer).await, (TEXT, b"over one".to_vec()));
        peer.send(long(BINARY, &large)).await;
        assert_eq!(peer.take(10).await[..2], [BINARY, 127]);
        assert!(peer.take(large.len()).await == large);

        let (status, mut send, mut receive) = ask(&sender, path).await;
        assert_eq!(status, StatusCode::OK);
        let counts = pool(&running, "websocket").occupancy();
        assert_eq!((counts.active, counts.berths), (1, 1));
        assert_eq!(ask(&sender, path).await.0, StatusCode::SERVICE_UNAVAILABLE);
        send_all(&mut send, masked(TEXT, b"over two").into()).await;
        assert_eq!(take(&mut receive, 10).await, b"\x81\x08over two");
        send_all(&mut send, long(BINARY, &large).into()).await;
        assert!(take(&mut receive, 10 + large.len()).await[10..] == large);

        peer.send(masked(CLOSE, b"\x0f\xa0bye")).await;
        assert_eq!(frame(&mut peer).await, (CLOSE, b"\x0f\xa0bye".to_vec()));
        let _ = peer.closed(millis(1000)).await;
        assert_eq!(reason(&mut events).await, CloseReason::ClientClosed);
        send_all(&mut send, masked(CLOSE, b"").into()).await;
        assert_eq!(take(&mut receive, 2).await, b"\x88\x00");
        ended(&mut receive).await;
        let none = || pool(&running, "websocket").occupancy().berths == 0;
        eventually(none, || "the berth is taken".to_owned()).await;
    }
    assert_eq!(pool(&running, "http2").active(), 1);
    assert_eq!(pool(&running, "websocket").metrics().requests, 4);
    drop((sender, connection));
}

#[tokio::test]
async fn a_drain_says_close_on_every_stream_and_waits() {
    let running = start(100).await;
    let (sender, connection) = client(&running).await;
    let mut sessions = Vec::new();
    for _ in 0..20 {
        let (status, send, receive) = ask(&sender, "/ws").await;
        assert_eq!(status, StatusCode::OK);
        sessions.push((send, receive));
    }
    drop(sender);
    let leaving = async {
        for (send, receive) in &mut sessions {
            assert_eq!(take(receive, 4).await, b"\x88\x02\x03\xe9");
            send_all(send, masked(CLOSE, b"\x03\xe9").into()).await;
            ended(receive).await;
        }
        sessions.clear();
    };
    let (report, ()) = tokio::join!(running.drain(), leaving);
    assert_eq!((report.finished, report.cut), (1, 0));
    assert!(report.took < millis(3000), "{:?}", report.took);
    drop(connection);
}

#[tokio::test]
async fn without_sessions_no_stream_becomes_one() {
    let address = "127.0.0.1:0".parse().expect("an address");
    let setup = ListenerSetup::new("a".parse().expect("a name"), address)
        .pool(Protocol::Http2, Protocol::Http2.defaults());
    let server = Server::builder().listener(setup, app());
    let running = server.start().await.expect("it can be had");
    let socket = TcpStream::connect(running.addresses()[0].1).await;
    let handshake = h2::client::handshake(socket.expect("it listens")).await;
    let (sender, connection) = handshake.expect("bytes go over");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        connection.await.ok();
    });
    let mut ready = sender.clone().ready().await.expect("a stream");
    let request = Request::get("http://t/ws").body(()).expect("a request");
    let (answer, _) = ready.send_request(request, true).expect("it is open");
    // What the handler asks for cannot be had.
    assert_eq!(answer.await.expect("an answer").status(), 426);
    assert!(!sender.is_extended_connect_protocol_enabled());
}
