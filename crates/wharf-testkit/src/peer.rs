//! [`Peer`]: the other end of a connection, under the test's control byte by byte.

mod bytes;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::Response;

/// How long anything may take that is to happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
    /// When it began to connect.
    begun: Instant,
    /// Until when the read that is under way may last.
    patience: Option<Pin<Box<Sleep>>>,
}

/// How a server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// In good order.
    End,
    /// With a reset.
    Reset,
}

impl Peer {
    /// Connects; each write is sent at once.
    pub async fn connect(to: SocketAddr) -> Self {
        Self::connecting(TcpStream::connect(to)).await
    }

    /// Connects from `source`, one of the loopback's many addresses.
    pub async fn connect_from(source: IpAddr, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind((source, 0).into())
            .expect("the address is this machine's");
        Self::connecting(socket.connect(to)).await
    }

    /// Connects with a receive buffer as small as the kernel gives.
    pub async fn connect_narrow(to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(2048).expect("a buffer size");
        Self::connecting(socket.connect(to)).await
    }

    async fn connecting(connect: impl Future<Output = io::Result<TcpStream>>) -> Self {
        // The server may have accepted, and begun to wait, long before we hear of it.
        let begun = Instant::now();
        let stream = connect.await.expect("the server listens");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self {
            stream,
            received: Vec::new(),
            begun,
            patience: None,
        }
    }

    /// Our own address.
    pub fn address(&self) -> SocketAddr {
        self.stream
            .local_addr()
            .expect("a connected socket has an address")
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .await
            .expect("the server takes the bytes");
    }

    /// Sends bytes that the server may not take any more.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Sends `bytes` one at a time, `pause` apart, until all are sent or the server says something.
    pub async fn drip(&mut self, bytes: impl AsRef<[u8]>, pause: Duration) {
        for byte in bytes.as_ref() {
            if !self.try_send([*byte]).await {
                return;
            }
            sleep(pause).await;
            let mut there = [0; 1];
            if timeout(Duration::ZERO, self.stream.peek(&mut there))
                .await
                .is_ok()
            {
                return;
            }
        }
    }

    /// Reads the next response.
    pub async fn response(&mut self) -> Response {
        self.next_response(false).await.expect("the server answers")
    }

    /// Reads the next response, to a HEAD request.
    pub async fn response_to_head(&mut self) -> Response {
        self.next_response(true).await.expect("the server answers")
    }

    /// Reads the next response; `None` if the server closes instead.
    pub async fn response_or_close(&mut self) -> Option<Response> {
        self.next_response(false).await
    }

    async fn next_response(&mut self, to_head: bool) -> Option<Response> {
        timeout(SOON, async {
            loop {
                if let Some(response) = Response::take(&mut self.received, to_head) {
                    return Some(response);
                }
                match self.stream.read_buf(&mut self.received).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return None,
                }
            }
        })
        .await
        .expect("the server answers or closes in ten seconds")
    }

    /// Sends a GET request and reads its response.
    pub async fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
            .await;
        self.response().await
    }

    /// Waits for the server to close, at most `within`; returns how, and how long after we began to
    /// connect.
    pub async fn closed(&mut self, within: Duration) -> (Closed, Duration) {
        let how = timeout(within, async {
            let mut discarded = vec![0; 65536];
            loop {
                match self.stream.read(&mut discarded).await {
                    Ok(0) => return Closed::End,
                    Ok(n) => self.received.extend_from_slice(&discarded[..n]),
                    Err(_) => return Closed::Reset,
                }
            }
        })
        .await
        .expect("the server closes in time");
        (how, self.begun.elapsed())
    }

    /// What was received and is no part of a response that was read.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Whether the connection stays open, and silent, for so long.
    pub async fn is_quiet(&mut self, during: Duration) -> bool {
        let mut there = [0; 1];
        timeout(during, self.stream.peek(&mut there)).await.is_err()
    }

    /// Closes our direction.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("our direction closes");
    }

    /// Vanishes with a reset.
    pub fn vanish(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("SO_LINGER");
    }
}
