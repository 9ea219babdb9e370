//! [`Transport`]: the bytes of a connection to an endpoint, and everything that ends with them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use wharf_pool::{ConnectionHandle, Tracked};

use crate::connection::UpstreamConnection;
use crate::endpoint::Presence;

/// A socket that holds the slot of its connection.
pub(crate) type Socket = Tracked<TcpStream, UpstreamConnection>;

pin_project! {
    /// The bytes, with TLS or without.
    #[project = TransportProjection]
    pub(crate) enum Transport {
        Plain { #[pin] io: Socket },
        Tls { #[pin] io: Box<TlsStream<Socket>> },
    }
}

impl Transport {
    pub(crate) fn handle(&self) -> &ConnectionHandle<UpstreamConnection> {
        match self {
            Self::Plain { io } => io.handle(),
            Self::Tls { io } => io.get_ref().0.handle(),
        }
    }
}

/// Does the same with the bytes, whichever they are.
macro_rules! whichever {
    ($of:expr, $io:ident => $then:expr) => {
        match $of.project() {
            TransportProjection::Plain { io: $io } => $then,
            TransportProjection::Tls { io: $io } => $then,
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        whichever!(self, io => io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        whichever!(self, io => io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        whichever!(self, io => io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain { io } => io.is_write_vectored(),
            Self::Tls { io } => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        whichever!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        whichever!(self, io => io.poll_shutdown(cx))
    }
}

pin_project! {
    /// The bytes as the codec has them, and after an upgrade whoever upgraded: the endpoint counts the
    /// connection until they go.
    ///
    /// The fields are dropped in order: the socket is closed before it is counted off.
    pub(crate) struct Wire {
        #[pin]
        io: Transport,
        presence: Presence,
    }
}

impl Wire {
    pub(crate) const fn new(io: Transport, presence: Presence) -> Self {
        Self { io, presence }
    }

    /// An error once it has been told to end: after an upgrade nobody else would hear of it.
    fn check(&self) -> io::Result<()> {
        if self.io.handle().control().is_aborted() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let handle = self.io.handle();
        if handle.connection().is_tunnel() {
            // Its driver is gone, and a session in which nothing happens would never look.
            handle.control().register(cx);
        }
        self.check()?;
        self.project().io.poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        self.project().io.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        self.project().io.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_shutdown(cx)
    }
}
