//! What an idle connection holds in the heap. A process of its own, whose allocator counts.
//!
//! Bytes that are asked for, not those that are resident: the same on every machine, so that a change
//! that makes connections larger is seen where it is made. What is resident is measured by
//! `bench idle`.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use cap::Cap;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use wharf_http::websocket::{WebSocket, WebSocketUpgrade};
use wharf_http::{ListenerSetup, Protocol, Running, Server};
use wharf_testkit::http1;
use wharf_testkit::http2::{ACK, END_HEADERS, END_STREAM, GET, Kind, PREFACE, block, frame};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Enough for what is not a connection's own, such as tables that grow, to count little.
const CONNECTIONS: usize = 256;

/// What a connection may hold: what it does, and 5 % for threads that race for tables that grow. If a
/// change is worth its bytes, say in its commit what they are for, and write here what it holds then; if
/// the bytes are fewer, write that.
const MOST: [(&str, usize, Speak); 4] = [
    ("HTTP/1, silent", 2_330, silent),
    ("HTTP/1, three requests answered", 1_840, http1_requests),
    ("HTTP/2, three requests answered", 36_600, http2_requests),
    ("WebSocket, one message echoed", 2_800, session),
];

type Speak = fn(&mut TcpStream);

#[test]
fn an_idle_connection_holds_no_more_than_it_did() {
    let runtime = Runtime::new().expect("a runtime");
    let running = runtime.block_on(start());
    let address = running.addresses()[0].1;
    let mut over = Vec::new();
    for (what, most, speak) in MOST {
        // The first connections make room that is not theirs.
        drop(open(address, speak));
        let before = runtime.block_on(settled(&running, 0));
        let connections = open(address, speak);
        let after = runtime.block_on(settled(&running, CONNECTIONS));
        let held = (after - before) / CONNECTIONS;
        drop(connections);
        if held > most + most / 20 {
            over.push(format!("{what}: {held} bytes instead of {most}"));
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

async fn start() -> Running {
    let app = Router::new()
        .route("/hello", get(async || "Hello, World!"))
        .route("/ws", any(echo));
    let address = "127.0.0.1:0".parse().expect("an address");
    let protocols = [Protocol::Http, Protocol::Http2, Protocol::WebSocket];
    let name = "a".parse().expect("a name");
    let setup = protocols
        .into_iter()
        .fold(ListenerSetup::new(name, address), |setup, protocol| {
            setup.pool(protocol, protocol.defaults())
        });
    let server = Server::builder().listener(setup, app);
    server.start().await.expect("it can be had")
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

/// Connections that have said what they have to say.
fn open(address: SocketAddr, speak: Speak) -> Vec<TcpStream> {
    let opened = (0..CONNECTIONS).map(|_| {
        let mut stream = http1::blocking::connect(address);
        speak(&mut stream);
        stream
    });
    opened.collect()
}

/// The bytes of the heap, once so many connections are open and nothing changes any more.
async fn settled(running: &Running, connections: usize) -> usize {
    let (mut last, mut calm, mut looks) = (0, 0, 0);
    while calm < 10 {
        assert!(looks < 300, "the heap is never calm");
        looks += 1;
        sleep(Duration::from_millis(100)).await;
        let open = running.registry().connections().len();
        let held = HEAP.allocated();
        let is_calm = open == connections && held == last;
        calm = if is_calm { calm + 1 } else { 0 };
        last = held;
    }
    last
}

fn silent(_: &mut TcpStream) {}

fn http1_requests(stream: &mut TcpStream) {
    for _ in 0..3 {
        say(stream, b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        hear(stream, b"Hello, World!");
    }
}

fn http2_requests(stream: &mut TcpStream) {
    say(stream, PREFACE);
    say(stream, &frame(Kind::Settings, 0, 0, b""));
    say(stream, &frame(Kind::Settings, ACK, 0, b""));
    for number in [1, 3, 5] {
        let head = block(GET, "/hello");
        say(
            stream,
            &frame(Kind::Headers, END_HEADERS | END_STREAM, number, &head),
        );
        hear(stream, b"Hello, World!");
    }
}

fn session(stream: &mut TcpStream) {
    say(
        stream,
        b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    hear(stream, b"\r\n\r\n");
    // "hi", with a mask of zeros.
    say(stream, b"\x81\x82\0\0\0\0hi");
    hear(stream, b"hi");
}

fn say(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("it is read");
}

/// Reads up to these bytes.
fn hear(stream: &mut TcpStream, end: &[u8]) {
    let mut bytes = [0; 2048];
    let mut length = 0;
    while !bytes[..length].ends_with(end) {
        let n = stream.read(&mut bytes[length..]).expect("it answers");
        assert!(n > 0, "closed");
        length += n;
    }
}
