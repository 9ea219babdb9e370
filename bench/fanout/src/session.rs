//! [`Session`]: a WebSocket session that listens, answers Pings, and may speak.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result, bail};
use socket2::{Domain, Socket, Type};

/// Bytes of a message. Below 126, so that a frame's head has two bytes.
pub(crate) const SIZE: usize = 100;

const BINARY: u8 = 0x82;
const PING: u8 = 0x89;

/// One session.
pub(crate) struct Session {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Session {
    /// Connects from one of this machine's addresses, and upgrades.
    pub(crate) fn connect(to: SocketAddr, from: [u8; 4], path: &str) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket
            .connect(&to.into())
            .context("the server does not listen")?;
        socket.set_tcp_nodelay(true)?;
        let mut stream = TcpStream::from(socket);
        // In one piece: not every server waits for the rest of a head.
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            answer.extend(byte);
        }
        if !answer.starts_with(b"HTTP/1.1 101 ") {
            bail!("no session: {}", String::from_utf8_lossy(&answer));
        }
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            unread: Vec::new(),
        })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Says the number of a round.
    pub(crate) fn say(&mut self, round: u64) -> Result<()> {
        let mut message = [0; SIZE];
        message[..8].copy_from_slice(&round.to_be_bytes());
        self.send(BINARY, &message)
    }

    /// Reads what is there; returns the last round that it has heard of, if any.
    pub(crate) fn hear(&mut self) -> Result<Option<u64>> {
        let mut buffer = [0; 4096];
        let count = match self.stream.read(&mut buffer) {
            Ok(0) => bail!("the server has closed a session"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        self.unread.extend_from_slice(&buffer[..count]);
        let mut heard = None;
        while let Some((first, payload)) = self.take() {
            match (first, payload.first_chunk()) {
                (BINARY, Some(round)) if payload.len() == SIZE => {
                    heard = Some(u64::from_be_bytes(*round));
                }
                (PING, _) => self.send(0x8a, &payload)?,
                (other, _) => bail!("a frame that nobody has sent: {other:#x}"),
            }
        }
        Ok(heard)
    }

    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&first, &length) = (self.unread.first()?, self.unread.get(1)?);
        let end = 2 + usize::from(length);
        let payload = self.unread.get(2..end)?.to_vec();
        self.unread.drain(..end);
        Some((first, payload))
    }

    /// The mask is zero: masked so, content stays as it is.
    fn send(&mut self, first: u8, payload: &[u8]) -> Result<()> {
        let length = u8::try_from(payload.len())?;
        let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        self.stream
            .write_all(&frame)
            .context("the server takes nothing")
    }
}
