//! The PROXY protocol at the start of a connection: who is really there.

use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use tokio::io::AsyncReadExt;
use wharf_pool::{CloseReason, Command, TICK, Tracked};

use crate::connection::HttpConnection;
use crate::context::Context;
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
    let mut late = CloseReason::ProxyProtocol;
    let mut deadline = handle
        .opened()
        .after(shared.pool.config().common.connection_timeout);
    handle.set_deadline(deadline);
    let mut bytes = Vec::new();
    let (header, consumed) = {
        let mut reading = pin!(read(io, &mut bytes));
        std::future::poll_fn(|cx| {
            handle.control().register(cx);
            match handle.command() {
                // Its request may be on the way, as that of any other.
                Some(Command::Finish(CloseReason::Drained)) if late == CloseReason::Drained => {}
                Some(Command::Finish(CloseReason::Drained)) => {
                    late = CloseReason::Drained;
                    deadline = deadline.min(shared.clock.now().after(shared.goodbyes.linger));
                    handle.set_deadline(deadline);
                }
                Some(Command::Abort(reason) | Command::Finish(reason)) => {
                    return Poll::Ready(Err(reason));
                }
                _ => {}
            }
            if deadline.after(TICK) <= shared.clock.now() {
                return Poll::Ready(Err(late));
            }
            reading.as_mut().poll(cx)
        })
        .await?
    };
    let peer: SocketAddr = match header {
        ProxyHeader::Proxied { source, .. } => source,
        // The proxy's own connection, such as a health check.
        ProxyHeader::Local | ProxyHeader::Unknown => handle.endpoints().peer.0,
    };
    if let Err(reason) = handle.announce(peer) {
        shared.pool.reject(reason);
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
