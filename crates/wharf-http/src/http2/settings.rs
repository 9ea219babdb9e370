//! [`Settings`]: a pool's configuration as one HTTP/2 connection uses it.

use std::time::Duration;

use h2::server::Builder;
use wharf_pool::Pool;
use wharf_pool::config::{ByteSize, Count, Limit};

use crate::connection::HttpConnection;
use crate::grpc::MessageLimits;
use crate::pools::Pools;
use crate::protocol::Protocol;
use crate::settings::{GrpcSettings, Http2Settings, ProtocolSettings};
use crate::waits::Timeouts;

/// What a connection needs of its pool's configuration, and of which generation that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) generation: u64,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_age: Option<Duration>,
    pub(crate) max_requests: Option<Count>,
    pub(crate) requests: RequestLimits,
    pub(crate) calls: CallLimits,
    pub(crate) ping: Ping,
}

/// What holds for each gRPC call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallLimits {
    pub(crate) messages: MessageLimits,
    /// The longest that it may take.
    pub(crate) longest: Option<Duration>,
}

impl CallLimits {
    fn of(grpc: &GrpcSettings) -> Self {
        Self {
            messages: MessageLimits {
                receive: bounded(grpc.max_receive_message_length),
                send: bounded(grpc.max_send_message_length),
            },
            longest: grpc.max_call_duration,
        }
    }

    /// The limits of a call on a connection in `pool`. They follow the call: where the connection is
    /// counted elsewhere, those of its listener's `grpc` rule, if it has that.
    pub(super) fn of_call(settings: &Settings, pool: &Pool<HttpConnection>, all: &Pools) -> Self {
        let grpc = all
            .of(Protocol::Grpc)
            .filter(|grpc| grpc.name() != pool.name());
        let config = grpc.map(Pool::config);
        match config.as_deref().map(|config| &config.protocol) {
            Some(ProtocolSettings::Grpc(grpc)) => Self::of(grpc),
            Some(_) | None => settings.calls,
        }
    }
}

/// The most that a request may have: header fields, bytes of its target, bytes of its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    pub(crate) headers: usize,
    pub(crate) target: usize,
    pub(crate) body: Option<u64>,
}

/// When the peer is asked whether it is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ping {
    pub(crate) interval: Option<Duration>,
    pub(crate) timeout: Duration,
    /// PINGs of the peer that come faster than this are strikes.
    pub(crate) min_interval: Option<Duration>,
}

impl Settings {
    /// Whether the limit is on a dry run. Then it holds no more for this connection: each is told of
    /// once.
    pub(crate) fn rehearse(&mut self, limit: Limit) -> bool {
        let rehearses = self.timeouts.rehearse(limit);
        if rehearses && limit == Limit::MaxAge {
            self.max_age = None;
        } else if rehearses && limit == Limit::MaxRequests {
            self.max_requests = None;
        }
        rehearses
    }

    /// The settings in force in `pool`; what that pool's protocol does not have is as in `http2`.
    pub(crate) fn of(pool: &Pool<HttpConnection>, wire: &Http2Settings) -> Self {
        // Read first: a change in between makes it look old, and it is read again.
        let generation = pool.generation();
        let config = pool.config();
        let common = &config.common;
        let (http2, grpc, is_grpc) = match &config.protocol {
            ProtocolSettings::Http2(http2) => (http2.clone(), GrpcSettings::default(), false),
            ProtocolSettings::Grpc(grpc) => (wire.clone(), grpc.clone(), true),
            ProtocolSettings::Http(_)
            | ProtocolSettings::Https(_)
            | ProtocolSettings::WebSocket(_) => (wire.clone(), GrpcSettings::default(), false),
        };
        let ping = if is_grpc {
            Ping {
                interval: grpc.keep_alive_time,
                timeout: grpc.keep_alive_ack_timeout,
                min_interval: grpc.min_ping_interval,
            }
        } else {
            Ping {
                interval: http2.ping_interval,
                timeout: http2.ping_timeout,
                min_interval: None,
            }
        };
        let mut timeouts = Timeouts::of(common).under(pool.rung());
        if is_grpc {
            // Messages may be far apart, and their readers slow.
            timeouts.min_rate = None;
        }
        Self {
            generation,
            timeouts,
            max_age: common.max_age,
            max_requests: common.max_requests,
            requests: RequestLimits {
                headers: http2.max_headers.get() as usize,
                target: http2.max_target.as_usize(),
                body: http2.max_body_size.map(ByteSize::get),
            },
            calls: CallLimits::of(&grpc),
            ping,
        }
    }
}

/// A message's length has 32 bits: a larger limit is none.
fn bounded(limit: Option<ByteSize>) -> Option<u32> {
    limit.and_then(|limit| u32::try_from(limit.get()).ok())
}

/// What one answer may have waiting for its peer, if the memory of the session allows.
const SEND_BUFFER: u64 = 64 << 10;

/// Streams that the codec bears to be reset before it was asked for them. Its default of 20 ends a
/// browser whose page is left while it loads: requests and resets come in one piece. More than what the
/// meter bears, which finds those who do nothing else.
const PENDING_RESETS: usize = 256;

/// The codec with these settings. Half of the session's memory is for what the peer sends, so that
/// bodies that nobody reads do not hold up the others; three eighths are for answers that wait for it;
/// the rest is headers and the codec's own. `share` is what there is for it, if that is less. `sessions` is
/// whether a stream may become one of WebSocket.
pub(crate) fn builder(wire: &Http2Settings, share: Option<u64>, sessions: bool) -> Builder {
    let small = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX).min(MAX_WINDOW);
    let streams = wire.max_concurrent_streams.get();
    let configured = wire.max_session_memory.get();
    let memory = share.map_or(configured, |share| share.min(configured));
    let window = small(wire.initial_window_size.get());
    let all = u64::from(streams).saturating_mul(u64::from(window));
    let connection = small((memory / 2).min(all)).max(DEFAULT_WINDOW);
    let unsent = (memory / 8 * 3 / u64::from(streams)).clamp(1024, SEND_BUFFER);
    let mut builder = Builder::new();
    builder
        .initial_window_size(window)
        .initial_connection_window_size(connection)
        .max_concurrent_streams(streams)
        .max_header_list_size(small(wire.max_header_list_size.get()))
        .max_send_buffer_size(usize::try_from(unsent).unwrap_or(usize::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        // The codec's own budget for what many small frames cost beyond their content ends honest
        // uploads of small gRPC messages; the session's memory bounds the same.
        .data_frame_budget(usize::try_from(configured).unwrap_or(usize::MAX));
    if sessions {
        // RFC 8441 3.
        builder.enable_connect_protocol();
    }
    builder
}

/// RFC 9113 6.9.1.
const MAX_WINDOW: u32 = (1 << 31) - 1;

/// RFC 9113 6.9.2; the window of a connection can only grow from there.
const DEFAULT_WINDOW: u32 = 65_535;
