//! [`Client`]: one connection that does what it is told, and no more. It is blocking and keeps almost
//! nothing: what is measured is the server.

mod http1;
mod http2;
mod stream;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use rustls::ClientConfig;

use crate::protocol::Protocol;
use stream::Stream;

/// One connection.
pub(crate) struct Client {
    stream: Stream,
    protocol: Protocol,
    /// Requests asked so far.
    asked: u32,
}

/// Where clients connect to, and how.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    pub(crate) tls: Arc<ClientConfig>,
}

/// One address of ours has that many ports, with room for those of connections that have ended.
const PER_SOURCE: usize = 15_000;

impl Door {
    /// Connects, and says the first word of TLS. `nth` spreads them over source addresses.
    pub(crate) fn connect(&self, nth: usize) -> Result<Client> {
        let last = u8::try_from(1 + nth / PER_SOURCE).context("too many connections")?;
        let source = Ipv4Addr::new(127, 0, 0, last);
        let tls = self.protocol.is_secured().then_some(&self.tls);
        Ok(Client {
            stream: Stream::open(self.address, source, tls)?,
            protocol: self.protocol,
            asked: 0,
        })
    }
}

impl Client {
    /// Completes the handshakes of TLS and HTTP/2.
    pub(crate) fn greet(&mut self) -> Result<()> {
        self.stream.shake_hands()?;
        if self.protocol.is_http2() {
            http2::greet(&mut self.stream)?;
        }
        Ok(())
    }

    /// Sends a request.
    pub(crate) fn ask(&mut self) -> Result<()> {
        self.asked += 1;
        if self.protocol.is_http2() {
            let stream = 2 * self.asked - 1;
            http2::ask(&mut self.stream, stream, self.protocol.is_secured())
        } else {
            http1::ask(&mut self.stream)
        }
    }

    /// Receives the answer, and sees that it is the one that all peers give.
    pub(crate) fn hear(&mut self) -> Result<()> {
        if self.protocol.is_http2() {
            http2::hear(&mut self.stream, 2 * self.asked - 1)
        } else {
            http1::hear(&mut self.stream)
        }
    }
}
