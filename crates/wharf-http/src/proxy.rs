//! The PROXY protocol at the start of a connection: who is really there.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use wharf_pool::{CloseReason, Tracked};

use crate::connection::HttpConnection;
use crate::context::Context;
use crate::patience::within;
use crate::proxy_protocol::{Parsed, ProxyHeader, parse};
use crate::transport::Transport;

/// The longest header that is read: version 2 with 2 KiB of addresses and fields.
const LONGEST: usize = 16 + 2048;

/// Reads the PROXY header that the listener requires and charges the connection to the announced
/// peer. Returns what was read beyond it; at once, and nothing, where none is required.
///
/// # Errors
///
/// The reason for which the connection ends: no header, a wrong or a late one.
pub(crate) async fn announced<T: Transport>(
    io: &mut Tracked<T, HttpConnection>,
    shared: &Context,
) -> Result<Vec<u8>, CloseReason> {
    if shared.trusted_proxies.is_none() {
        return Ok(Vec::new());
    }
    let handle = io.handle().clone();
    let limit = handle.opened().after(shared.connection_timeout());
    let mut bytes = Vec::new();
    let reading = read(io, &mut bytes);
    let (header, consumed) =
        within(&handle, shared, limit, CloseReason::ProxyProtocol, reading).await?;
    let peer: SocketAddr = match header {
        ProxyHeader::Proxied { source, .. } => source,
        // The proxy's own connection, such as a health check.
        ProxyHeader::Local | ProxyHeader::Unknown => handle.endpoints().peer.0,
    };
    if let Err(reason) = handle.announce(peer) {
        shared.reject(reason);
        tracing::debug!(connection = %handle.id(), %peer, reason = reason.as_str(), "not let in");
        return Err(CloseReason::ProxyProtocol);
    }
    bytes.drain(..consumed);
    Ok(bytes)
}

async fn read<T: Transport>(
    io: &mut Tracked<T, HttpConnection>,
    bytes: &mut Vec<u8>,
) -> Result<(ProxyHeader, usize), CloseReason> {
    let mut chunk = [0; 512];
    loop {
        let room = chunk.len().min(LONGEST + 1 - bytes.len());
        match io.read(&mut chunk[..room]).await {
            Ok(0) => return Err(CloseReason::ClientClosed),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(_) => return Err(CloseReason::PeerReset),
        }
        match parse(bytes) {
            Ok(Parsed::Complete { header, consumed }) => return Ok((header, consumed)),
            Ok(Parsed::Incomplete) if bytes.len() <= LONGEST => {}
            Ok(Parsed::Incomplete) => return Err(CloseReason::ProxyProtocol),
            Err(error) => {
                tracing::debug!(%error, "not a PROXY header");
                return Err(CloseReason::ProxyProtocol);
            }
        }
    }
}
