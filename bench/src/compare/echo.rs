//! A load of WebSocket messages: each connection sends one, waits until it is back, and sends the next.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::closed::{Closed, Exchange};
use super::tool::Said;

const UPGRADE: &[u8] =
    b"GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The last message of all, and complete; the kind is binary.
const FINAL_BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
/// The length is in the next two bytes, or eight.
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;

/// Any key will do: what is measured is that the server has to take it off.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Makes the load.
pub(super) fn make(
    size: usize,
    connections: u32,
    lasting: Duration,
    at: SocketAddr,
) -> Result<Said> {
    Closed::runtime()?.block_on(async {
        let mut sessions = Vec::new();
        for _ in 0..connections {
            sessions.push(Session::open(size, at).await?);
        }
        Closed::new(lasting).make(sessions).await
    })
}

/// One message there and back.
pub(super) fn check(size: usize, at: SocketAddr) -> Result<()> {
    Closed::once(Session::open(size, at))
}

/// One connection.
struct Session {
    stream: TcpStream,
    /// A message as it is sent, and as it has to come back.
    message: Vec<u8>,
    echo: Vec<u8>,
    room: Vec<u8>,
}

impl Session {
    async fn open(size: usize, at: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        stream.write_all(UPGRADE).await?;
        let mut head = Vec::new();
        // A byte at a time: what comes behind the head is a message's.
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < 4096, "a head without an end");
            head.push(stream.read_u8().await.context("no upgrade")?);
        }
        ensure!(
            head.starts_with(b"HTTP/1.1 101 "),
            "another answer: {}",
            String::from_utf8_lossy(&head)
        );
        let (mut message, mut echo) = (frame(MASKED, size)?, frame(0, size)?);
        message.extend(KEY);
        message.extend((0..size).map(|at| b'w' ^ KEY[at % KEY.len()]));
        echo.resize(echo.len() + size, b'w');
        let room = vec![0; echo.len()];
        Ok(Self {
            stream,
            message,
            echo,
            room,
        })
    }
}

impl Exchange for Session {
    async fn exchange(&mut self) -> Result<()> {
        self.stream.write_all(&self.message).await?;
        self.stream.read_exact(&mut self.room).await?;
        ensure!(self.room == self.echo, "another message came back");
        Ok(())
    }
}

/// The head of a frame of so many bytes.
fn frame(mask: u8, size: usize) -> Result<Vec<u8>> {
    let mut head = vec![FINAL_BINARY];
    match size {
        0..=125 => head.push(mask | u8::try_from(size)?),
        126..=0xffff => {
            head.push(mask | IN_TWO);
            head.extend(u16::try_from(size)?.to_be_bytes());
        }
        _ => {
            head.push(mask | IN_EIGHT);
            head.extend(u64::try_from(size)?.to_be_bytes());
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_says_its_length_in_as_few_bytes_as_it_can() {
        let heads = [13, 126, 65_535, 65_536].map(|size| frame(MASKED, size).unwrap());
        assert_eq!(heads[0], [0x82, 0x8d]);
        assert_eq!(heads[1], [0x82, 0xfe, 0, 126]);
        assert_eq!(heads[2], [0x82, 0xfe, 0xff, 0xff]);
        assert_eq!(heads[3], [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
