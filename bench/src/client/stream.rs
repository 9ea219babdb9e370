//! [`Stream`]: a client's bytes, plain or over TLS.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::site::NAME;

/// A client's bytes.
pub(super) enum Stream {
    Plain(TcpStream),
    Secured(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

impl Stream {
    pub(super) fn open(
        to: SocketAddr,
        from: Ipv4Addr,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // Unbound, the kernel may take a port that waits for another destination's last segments.
        if from != Ipv4Addr::LOCALHOST {
            socket.bind(&SocketAddr::from((from, 0)).into())?;
        }
        socket.connect(&to.into())?;
        let socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let Some(config) = tls else {
            return Ok(Self::Plain(socket));
        };
        let session = ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME)?)?;
        let mut stream = Box::new(StreamOwned::new(session, socket));
        stream.conn.write_tls(&mut stream.sock)?;
        Ok(Self::Secured(stream))
    }

    pub(super) fn shake_hands(&mut self) -> Result<()> {
        if let Self::Secured(stream) = self {
            let StreamOwned { conn, sock } = &mut **stream;
            while conn.is_handshaking() {
                conn.complete_io(sock)?;
            }
        }
        Ok(())
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes)?,
            Self::Secured(stream) => {
                stream.write_all(bytes)?;
                stream.flush()?;
            }
        }
        Ok(())
    }

    pub(super) fn receive(&mut self, room: &mut [u8]) -> Result<usize> {
        Ok(match self {
            Self::Plain(socket) => socket.read(room)?,
            Self::Secured(stream) => stream.read(room)?,
        })
    }

    pub(super) fn receive_exact(&mut self, room: &mut [u8]) -> Result<()> {
        match self {
            Self::Plain(socket) => socket.read_exact(room)?,
            Self::Secured(stream) => stream.read_exact(room)?,
        }
        Ok(())
    }
}
