//! HTTP/1: what comes over the wire, clients that wait, and peers that keep others waiting.

pub mod blocking;
pub mod hostile;
mod response;

use tokio::io::{AsyncRead, AsyncReadExt};

pub use response::Response;

/// The next head, with the empty line at its end and nothing that follows.
pub async fn head(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.expect("a head comes"));
    }
    String::from_utf8(head).expect("a head is text")
}

/// What comes next: as much of it as is there, 4 KiB at most; nothing at the end.
pub async fn some(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut buffer = vec![0; 4096];
    let count = io.read(&mut buffer).await.expect("bytes come, or the end");
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

/// All that comes up to the end of the connection.
pub async fn until_closed(io: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    io.read_to_end(&mut all).await.expect("an end comes");
    String::from_utf8(all).expect("it is text")
}
