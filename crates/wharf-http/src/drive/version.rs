//! What a connection speaks: by ALPN, else by its first bytes; and the pool that it comes to with that.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_pool::config::WhenFull;
use wharf_pool::{
    CloseReason, ConnectionHandle, DryRunReason, Pool, RejectReason, Timestamp, Tracked,
};

use super::conversation::{Answer, LINGER, LastWord};
use super::{farewell, http2};
use crate::connection::HttpConnection;
use crate::context::Context;
use crate::patience::within;
use crate::proxy;
use crate::tls::{Acceptor, Alpn, HandshakeError, Handshaken, Refused, TlsStream};
use crate::transport::Transport;

/// The versions of HTTP that a connection can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

impl Version {
    /// What these first bytes are of, once there are enough of them to tell.
    fn told_by(bytes: &[u8]) -> Option<Self> {
        let known = bytes.len().min(PREFACE.len());
        if bytes[..known] != PREFACE[..known] {
            return Some(Self::Http1);
        }
        (known == PREFACE.len()).then_some(Self::Http2)
    }
}

/// The first bytes of every HTTP/2 connection (RFC 9113 3.4), as far as they tell it from HTTP/1: no
/// method begins with them.
const PREFACE: &[u8] = b"PRI";

/// A connection that speaks, in the pool of what it speaks.
pub(super) struct Opened<T> {
    pub(super) io: Tracked<T, HttpConnection>,
    /// Received already.
    pub(super) early: Vec<u8>,
    pub(super) version: Version,
    pub(super) pool: Pool<HttpConnection>,
}

/// What a connection's bytes go over now.
pub(super) enum Spoken<T: Transport> {
    Plain(Opened<T>),
    Secured(Opened<TlsStream<T>>),
}

/// Finds out who is there and what the connection speaks, and takes it into the pool of that. `None`
/// if it came to nothing: then it has ended.
pub(super) async fn open<T: Transport>(
    mut io: Tracked<T, HttpConnection>,
    shared: Arc<Context>,
) -> Option<Spoken<T>> {
    let early = match proxy::announced(&mut io, &shared).await {
        Ok(early) => early,
        Err(reason) => {
            io.handle().conclude(reason);
            io.get_ref().reset_on_drop();
            return None;
        }
    };
    match &shared.tls {
        Some(tls) => secured(io, early, tls, &shared).await.map(Spoken::Secured),
        None => plain(io, early, &shared).await.map(Spoken::Plain),
    }
}

/// TLS: the version is what its handshake agrees on.
async fn secured<T: Transport>(
    io: Tracked<T, HttpConnection>,
    early: Vec<u8>,
    tls: &Acceptor,
    shared: &Context,
) -> Option<Opened<TlsStream<T>>> {
    let handle = io.handle().clone();
    let (socket, guard) = io.into_parts();
    let own = shared
        .clock
        .now()
        .after(shared.pools.tls_handshake_timeout());
    let limit = own.min(handle.opened().after(shared.connection_timeout()));
    let under_way = shared.tally.shaking();
    let shaking = async { Ok(tls.accept(socket, early).await) };
    let shaken = within(&handle, shared, limit, CloseReason::TlsTimeout, shaking).await;
    drop(under_way);
    match shaken {
        Ok(Ok(Handshaken { stream, info, .. })) => {
            let version = match info.alpn {
                Some(Alpn::Http2) => Version::Http2,
                Some(Alpn::Http1) | None => Version::Http1,
            };
            shared.tally.secured(&info);
            handle.connection().secured(info);
            enter(Tracked::new(stream, guard), version, Vec::new(), shared).await
        }
        Ok(Err(Refused { error, io, .. })) => {
            shared.tally.refused(&error);
            tracing::debug!(connection = %handle.id(), %error, "no TLS");
            let reason = if error == HandshakeError::Crowded {
                if let Some(pool) = shared.pools.entries(true).next() {
                    pool.reject(RejectReason::TlsLimit);
                }
                CloseReason::Refused
            } else if error == HandshakeError::Silent {
                CloseReason::ClientClosed
            } else if let HandshakeError::Io(_) = error {
                CloseReason::PeerReset
            } else {
                CloseReason::TlsError
            };
            handle.conclude(reason);
            handle.closing();
            farewell::close(&mut Tracked::new(io, guard), SILENCE).await;
            None
        }
        Err(reason) => {
            handle.conclude(reason);
            handle.closing();
            drop(guard);
            None
        }
    }
}

/// No TLS: the version is what the first bytes are of.
async fn plain<T: Transport>(
    mut io: Tracked<T, HttpConnection>,
    mut early: Vec<u8>,
    shared: &Context,
) -> Option<Opened<T>> {
    let handle = io.handle().clone();
    let version = match (shared.pools.http1(false), shared.pools.http2()) {
        (Some(_), Some(_)) => {
            let late = CloseReason::ConnectionTimeout;
            let limit = handle.opened().after(shared.connection_timeout());
            let looking = look(&mut io, &mut early);
            let known = within(&handle, shared, limit, late, looking).await;
            let in_force = shared.pools.connection_timeout_in_force(false);
            let in_force = in_force.map_or(Timestamp::MAX, |it| handle.opened().after(it));
            if known == Err(late) && limit < in_force {
                handle.would_close(DryRunReason::ConnectionTimeout);
                let looking = look(&mut io, &mut early);
                within(&handle, shared, in_force, late, looking).await
            } else {
                known
            }
        }
        (None, Some(_)) => Ok(Version::Http2),
        (_, None) => Ok(Version::Http1),
    };
    match version {
        Ok(version) => enter(io, version, early, shared).await,
        Err(reason) => {
            handle.conclude(reason);
            handle.closing();
            farewell::close(&mut io, SILENCE).await;
            None
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
    let mut chunk = [0; 256];
    loop {
        if let Some(version) = Version::told_by(bytes) {
            return Ok(version);
        }
        match io.read(&mut chunk).await {
            Ok(0) => return Err(CloseReason::ClientClosed),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(_) => return Err(CloseReason::PeerReset),
        }
    }
}

/// Takes the connection into the pool of what it speaks; it is there already if its listener leads
/// nowhere else.
async fn enter<T: Transport>(
    mut io: Tracked<T, HttpConnection>,
    version: Version,
    early: Vec<u8>,
    shared: &Context,
) -> Option<Opened<T>> {
    let handle = io.handle().clone();
    let pool = match version {
        Version::Http1 => shared.pools.http1(shared.tls.is_some()),
        Version::Http2 => shared.pools.http2(),
    };
    let Some(pool) = pool.cloned() else {
        handle.conclude(CloseReason::ProtocolError);
        farewell::close(&mut io, LastWord::Nothing { linger: LINGER }).await;
        return None;
    };
    if handle.pool().is_none()
        && let Err(reason) = find_room(&handle, &pool, shared).await
    {
        if reason == CloseReason::Refused {
            refuse(io, version).await;
        } else {
            handle.conclude(reason);
            handle.closing();
            farewell::close(&mut io, SILENCE).await;
        }
        return None;
    }
    io.moved();
    Some(Opened {
        io,
        early,
        version,
        pool,
    })
}

/// How long a connection that has said what it speaks waits for the slot of one that was asked to
/// leave.
const PATIENCE: Duration = Duration::from_millis(100);

/// Takes the connection into a pool; if that is full, as its policy says.
async fn find_room(
    handle: &ConnectionHandle<HttpConnection>,
    pool: &Pool<HttpConnection>,
    shared: &Context,
) -> Result<(), CloseReason> {
    let Err(full) = handle.try_enter(pool) else {
        return Ok(());
    };
    let refused = |full: RejectReason| {
        pool.reject(full);
        tracing::debug!(connection = %handle.id(), pool = %pool.name(), reason = full.as_str(), "not let in");
        CloseReason::Refused
    };
    let (policy, queue_timeout) = {
        let common = &pool.config().common;
        (common.when_full, common.queue_timeout)
    };
    let patience = if full != RejectReason::PoolLimit || policy == WhenFull::Refuse {
        return Err(refused(full));
    } else if policy == WhenFull::Wait {
        queue_timeout
    } else {
        pool.make_room(handle.peer().ip(), 1);
        PATIENCE
    };
    let limit = shared.clock.now().after(patience);
    let entering = async {
        handle.enter_when_free(pool).await;
        Ok(())
    };
    let entered = within(handle, shared, limit, CloseReason::Refused, entering).await;
    entered.map_err(|reason| match reason {
        CloseReason::Refused => refused(full),
        told @ (CloseReason::Drained | _) => told,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds;

    /// The same for every cut: more bytes never change what was told.
    fn told(bytes: &[u8]) -> Option<Version> {
        let told = Version::told_by(bytes);
        let first = (0..bytes.len()).find_map(|end| Version::told_by(&bytes[..end]));
        assert!(first.is_none() || first == told);
        told
    }

    #[test]
    fn nothing_but_the_beginning_of_the_preface_is_http2() {
        assert_eq!(told(b""), None);
        assert_eq!(told(b"PR"), None);
        assert_eq!(told(b"PRI * HTTP/2.0\r\n"), Some(Version::Http2));
        for http1 in ["GET / HTTP/1.1", "P", "PRO", "pri", "\r\n", "PATCH"] {
            let enough = http1 != "P";
            assert_eq!(
                told(http1.as_bytes()),
                enough.then_some(Version::Http1),
                "{http1}"
            );
        }
        for target in ["http1_meter", "http2_meter"] {
            seeds::each(target, 100, |bytes| {
                told(bytes);
            });
        }
    }
}
