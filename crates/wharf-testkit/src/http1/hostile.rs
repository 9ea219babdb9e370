//! Peers that keep a server waiting: with half of what they owe, with a byte now and then, and with
//! answers that they do not read.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Peer;

/// Half of a request's first line.
pub const HALF_A_LINE: &str = "GET / HT";

/// Sends a head byte by byte, `pause` apart, that goes on until the server has said something.
pub async fn drip_a_head(peer: &mut Peer, pause: Duration) {
    let head = "GET /hello HTTP/1.1\r\nHost: test\r\nx: ";
    peer.drip([head, &"x".repeat(4096)].concat(), pause).await;
}

/// Announces a body of 1,000 bytes and sends this part of it.
pub async fn part_of_a_body(peer: &mut Peer, path: &str, part: &[u8]) {
    let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n");
    peer.send([head.as_bytes(), part].concat()).await;
}

/// Announces a body of 1,000 bytes and sends it byte by byte, `pause` apart, until the server has
/// said something.
pub async fn drip_a_body(peer: &mut Peer, path: &str, pause: Duration) {
    part_of_a_body(peer, path, b"").await;
    peer.drip([b'x'; 1000], pause).await;
}

/// Asks for what is at `path`, has next to no room for it, and reads nothing.
pub async fn ask_and_read_nothing(to: SocketAddr, path: &str) -> Peer {
    let mut peer = Peer::connect_narrow(to).await;
    peer.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
        .await;
    peer
}
