//! What a connection speaks: by ALPN, else by its first bytes; and the pool that it comes to with that.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_pool::{CloseReason, ConnectionHandle, Pool, RejectReason, Tracked};

use super::conversation::{Answer, LINGER, LastWord};
use super::{farewell, http1, http2};
use crate::app::App;
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::patience::within;
use crate::tls::{Acceptor, Alpn, HandshakeError, Handshaken, Refused};
use crate::transport::Transport;

/// The versions of HTTP that a connection can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// The first bytes of every HTTP/2 connection (RFC 9113 3.4), as far as they tell it from HTTP/1: no
/// method begins with them.
const PREFACE: &[u8] = b"PRI";

/// Finds out what the connection speaks and serves it; `early` has been read already.
pub(super) async fn serve<T, S>(
    io: Tracked<T, HttpConnection>,
    early: Vec<u8>,
    app: S,
    shared: Arc<Context>,
) where
    T: Transport,
    S: App,
{
    match shared.tls.clone() {
        Some(tls) => secured(io, early, &tls, app, shared).await,
        None => plain(io, early, app, shared).await,
    }
}

/// TLS: the version is what its handshake agrees on.
async fn secured<T, S>(
    io: Tracked<T, HttpConnection>,
    early: Vec<u8>,
    tls: &Acceptor,
    app: S,
    shared: Arc<Context>,
) where
    T: Transport,
    S: App,
{
    let handle = io.handle().clone();
    let (socket, guard) = io.into_parts();
    let own = shared
        .clock
        .now()
        .after(shared.pools.tls_handshake_timeout());
    let limit = own.min(handle.opened().after(shared.connection_timeout()));
    let under_way = shared.tally.shaking();
    let shaking = async { Ok(tls.accept(socket, early).await) };
    let shaken = within(&handle, &shared, limit, CloseReason::TlsTimeout, shaking).await;
    drop(under_way);
    match shaken {
        Ok(Ok(Handshaken { stream, info, .. })) => {
            let version = match info.alpn {
                Some(Alpn::Http2) => Version::Http2,
                Some(Alpn::Http1) | None => Version::Http1,
            };
            shared.tally.secured(&info);
            handle.connection().secured(info);
            speak(
                Tracked::new(stream, guard),
                version,
                Vec::new(),
                app,
                shared,
            )
            .await;
        }
        Ok(Err(Refused { error, io, .. })) => {
            shared.tally.refused(&error);
            tracing::debug!(connection = %handle.id(), %error, "no TLS");
            let reason = if error == HandshakeError::Silent {
                CloseReason::ClientClosed
            } else if let HandshakeError::Io(_) = error {
                CloseReason::PeerReset
            } else {
                CloseReason::TlsError
            };
            handle.conclude(reason);
            handle.closing();
            farewell::close(&mut Tracked::new(io, guard), SILENCE).await;
        }
        Err(reason) => {
            handle.conclude(reason);
            handle.closing();
            drop(guard);
        }
    }
}

/// No TLS: the version is what the first bytes are of.
async fn plain<T, S>(
    mut io: Tracked<T, HttpConnection>,
    mut early: Vec<u8>,
    app: S,
    shared: Arc<Context>,
) where
    T: Transport,
    S: App,
{
    let handle = io.handle().clone();
    let version = match (shared.pools.http1(false), shared.pools.http2()) {
        (Some(_), Some(_)) => {
            let limit = handle.opened().after(shared.connection_timeout());
            let looking = look(&mut io, &mut early);
            within(
                &handle,
                &shared,
                limit,
                CloseReason::ConnectionTimeout,
                looking,
            )
            .await
        }
        (None, Some(_)) => Ok(Version::Http2),
        (_, None) => Ok(Version::Http1),
    };
    match version {
        Ok(version) => speak(io, version, early, app, shared).await,
        Err(reason) => {
            handle.conclude(reason);
            handle.closing();
            farewell::close(&mut io, SILENCE).await;
        }
    }
}

/// There is nothing to say in any protocol that the peer is known to speak.
const SILENCE: LastWord = LastWord::Nothing {
    linger: Duration::from_millis(200),
};

/// Reads until it is clear which version the bytes are of.
async fn look<T: Transport>(
    io: &mut Tracked<T, HttpConnection>,
    bytes: &mut Vec<u8>,
) -> Result<Version, CloseReason> {
    let mut chunk = [0; 4096];
    loop {
        let known = bytes.len().min(PREFACE.len());
        if bytes[..known] != PREFACE[..known] {
            return Ok(Version::Http1);
        }
        if known == PREFACE.len() {
            return Ok(Version::Http2);
        }
        match io.read(&mut chunk).await {
            Ok(0) => return Err(CloseReason::ClientClosed),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(_) => return Err(CloseReason::PeerReset),
        }
    }
}

/// Takes the connection into the pool of what it speaks, and serves it there.
async fn speak<T, S>(
    mut io: Tracked<T, HttpConnection>,
    version: Version,
    early: Vec<u8>,
    app: S,
    shared: Arc<Context>,
) where
    T: Transport,
    S: App,
{
    let handle = io.handle().clone();
    let tls = shared.tls.is_some();
    let pool = match version {
        Version::Http1 => shared.pools.http1(tls),
        Version::Http2 => shared.pools.http2(),
    };
    let Some(pool) = pool.cloned() else {
        handle.conclude(CloseReason::ProtocolError);
        return farewell::close(&mut io, LastWord::Nothing { linger: LINGER }).await;
    };
    if let Err(reason) = enter(&handle, &pool) {
        tracing::debug!(connection = %handle.id(), pool = %pool.name(), reason = reason.as_str(), "not let in");
        return refuse(io, version).await;
    }
    io.moved();
    match version {
        Version::Http1 => http1::serve(io, early, pool, app, shared).await,
        Version::Http2 => http2::serve(io, early, pool, app, shared).await,
    }
}

/// Takes the connection into `pool`, unless its listener leads nowhere else and it is there already.
fn enter(
    handle: &ConnectionHandle<HttpConnection>,
    pool: &Pool<HttpConnection>,
) -> Result<(), RejectReason> {
    if handle.pool().is_some() {
        return Ok(());
    }
    handle.enter(pool)
}

/// Tells a connection, in its own protocol, that the pool that it was to enter is full.
async fn refuse<T: Transport>(mut io: Tracked<T, HttpConnection>, version: Version) {
    let handle = io.handle().clone();
    handle.conclude(CloseReason::Refused);
    handle.closing();
    let last = match version {
        Version::Http1 => LastWord::Answer(Answer {
            status: 503,
            why: "server at capacity",
            reason: CloseReason::Refused,
        }),
        Version::Http2 => {
            let told = tokio::time::timeout(LINGER, io.write_all(http2::REFUSAL)).await;
            if matches!(told, Ok(Ok(()))) {
                LastWord::Nothing { linger: LINGER }
            } else {
                LastWord::Cut
            }
        }
    };
    farewell::close(&mut io, last).await;
}
