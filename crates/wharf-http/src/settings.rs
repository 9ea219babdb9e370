//! [`ProtocolSettings`]: what each protocol adds to the settings of its pools.

use std::time::Duration;

use wharf_pool::config::{ByteSize, Count, Key, Patch, PoolConfig, SetError, Settings, Value};

use crate::protocol::Protocol;
use crate::websocket::{Origins, SlowConsumer};

wharf_pool::settings! {
    /// What HTTP/1 requests over plain TCP may look like.
    pub struct HttpSettings, HttpPatch {
        /// The largest request head, from its first byte to the empty line; over it 431.
        max_header_size: ByteSize = ByteSize::kib(32), Now;
        /// The most header fields of one request; over it 431.
        max_headers: Count = count(100), Now;
        /// The longest request target; over it 414.
        max_target: ByteSize = ByteSize::kib(8), Now;
        /// The largest request body; over it 413, before or while it comes.
        max_body_size: Option<ByteSize> = None, Now;
    }
}

wharf_pool::settings! {
    /// What HTTP/1 requests over TLS may look like.
    pub struct HttpsSettings, HttpsPatch {
        /// How long the TLS handshake may take; it is part of `connection_timeout`.
        tls_handshake_timeout: Duration = HANDSHAKE, Now;
        /// The largest request head, from its first byte to the empty line; over it 431.
        max_header_size: ByteSize = ByteSize::kib(32), Now;
        /// The most header fields of one request; over it 431.
        max_headers: Count = count(100), Now;
        /// The longest request target; over it 414.
        max_target: ByteSize = ByteSize::kib(8), Now;
        /// The largest request body; over it 413, before or while it comes.
        max_body_size: Option<ByteSize> = None, Now;
    }
}

/// As Netty has it.
const HANDSHAKE: Duration = Duration::from_secs(10);

wharf_pool::settings! {
    /// What HTTP/2 connections and their requests may look like.
    pub struct Http2Settings, Http2Patch {
        /// On a TLS listener: how long the handshake may take; it is part of `connection_timeout`.
        tls_handshake_timeout: Duration = HANDSHAKE, Now;
        /// The most requests that one connection may have in flight; the others are refused
        /// (REFUSED_STREAM).
        max_concurrent_streams: Count = count(100), NextConnection;
        /// The largest request head, as RFC 9113 counts it (32 bytes more for each field); over it
        /// 431.
        max_header_list_size: ByteSize = ByteSize::kib(16), NextConnection;
        /// The most header fields of one request; over it 431.
        max_headers: Count = count(100), Now;
        /// The longest request target; over it 414.
        max_target: ByteSize = ByteSize::kib(8), Now;
        /// The largest request body; over it 413, before or while it comes.
        max_body_size: Option<ByteSize> = None, Now;
        /// What the buffers, windows and headers of one connection may come to.
        max_session_memory: ByteSize = ByteSize::mib(10), NextConnection;
        /// How many bytes of one request's body may be on their way unasked.
        initial_window_size: ByteSize = ByteSize::kib(64), NextConnection;
        /// How long nothing may come from the peer before it is sent a PING.
        ping_interval: Option<Duration> = None, Now;
        /// How long the peer may take to answer it, with any frame.
        ping_timeout: Duration = Duration::from_secs(10), Now;
    }
}

wharf_pool::settings! {
    /// What gRPC calls may look like. The frames below them are as `http2` says.
    pub struct GrpcSettings, GrpcPatch {
        /// On a TLS listener: how long the handshake may take; it is part of `connection_timeout`.
        tls_handshake_timeout: Duration = HANDSHAKE, Now;
        /// The largest message of a request; over it RESOURCE_EXHAUSTED.
        max_receive_message_length: Option<ByteSize> = Some(ByteSize::mib(4)), Now;
        /// The largest message of a response; over it RESOURCE_EXHAUSTED.
        max_send_message_length: Option<ByteSize> = Some(ByteSize::mib(4)), Now;
        /// The longest that a call may take, whatever its `grpc-timeout` says.
        max_call_duration: Option<Duration> = None, Now;
        /// How long nothing may come from the peer before it is sent a PING.
        keep_alive_time: Option<Duration> = Some(Duration::from_secs(30)), Now;
        /// How long the peer may take to answer it, with any frame.
        keep_alive_ack_timeout: Duration = Duration::from_secs(10), Now;
        /// PINGs that come faster than this, with no call in flight, are strikes: the third ends
        /// the connection.
        min_ping_interval: Option<Duration> = None, Now;
    }
}

wharf_pool::settings! {
    /// What WebSocket sessions may look like.
    pub struct WebSocketSettings, WebSocketPatch {
        /// How long nothing may come from the client before it is sent a Ping.
        ping_interval: Option<Duration> = Some(Duration::from_secs(30)), Now;
        /// How long the client may take to answer it, with anything.
        pong_timeout: Duration = Duration::from_secs(10), Now;
        /// The largest message of a client; over it Close 1009.
        max_message_size: ByteSize = ByteSize::mib(1), Now;
        /// The largest frame of a client; over it Close 1009.
        max_frame_size: ByteSize = ByteSize::kib(256), Now;
        /// The most frames that a client may make of one message; over it Close 1008.
        max_fragments: Count = count(128), Now;
        /// How many bytes of messages may wait for one client.
        send_queue: ByteSize = ByteSize::kib(256), NextConnection;
        /// What becomes of a client for whom more waits.
        slow_consumer: SlowConsumer = SlowConsumer::Close, NextConnection;
        /// Whose pages may open a session; others get 403.
        allowed_origins: Origins = Origins::Any, Now;
        /// Whether streams of HTTP/2 may become sessions (RFC 8441), which needs handlers with wharf's
        /// extractor. Without it browsers take HTTP/1 for them.
        over_http2: bool = true, NextConnection;
    }
}

const fn count(n: u32) -> Count {
    match Count::new(n) {
        Some(count) => count,
        // Evaluated by the compiler.
        None => unreachable!(),
    }
}

/// What a protocol adds to the settings of its pools.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ProtocolSettings {
    /// `http`.
    Http(HttpSettings),
    /// `https`.
    Https(HttpsSettings),
    /// `http2`.
    Http2(Http2Settings),
    /// `grpc`.
    Grpc(GrpcSettings),
    /// `websocket`.
    WebSocket(WebSocketSettings),
}

/// A change of some of [`ProtocolSettings`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProtocolPatch {
    /// For `http`.
    Http(HttpPatch),
    /// For `https`.
    Https(HttpsPatch),
    /// For `http2`.
    Http2(Http2Patch),
    /// For `grpc`.
    Grpc(GrpcPatch),
    /// For `websocket`.
    WebSocket(WebSocketPatch),
}

impl ProtocolSettings {
    /// The defaults of a protocol.
    pub fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http => Self::Http(HttpSettings::default()),
            Protocol::Https => Self::Https(HttpsSettings::default()),
            Protocol::Http2 => Self::Http2(Http2Settings::default()),
            Protocol::Grpc => Self::Grpc(GrpcSettings::default()),
            Protocol::WebSocket => Self::WebSocket(WebSocketSettings::default()),
        }
    }

    /// How long a TLS handshake may take, on listeners that have one.
    pub(crate) fn tls_handshake_timeout(&self) -> Option<Duration> {
        match self {
            Self::Http(_) | Self::WebSocket(_) => None,
            Self::Https(it) => Some(it.tls_handshake_timeout),
            Self::Http2(it) => Some(it.tls_handshake_timeout),
            Self::Grpc(it) => Some(it.tls_handshake_timeout),
        }
    }

    /// Whether they are settings of this protocol.
    pub fn fits(&self, protocol: Protocol) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(&Self::of(protocol))
    }
}

impl Default for ProtocolSettings {
    fn default() -> Self {
        Self::Http(HttpSettings::default())
    }
}

impl Protocol {
    /// What a pool of this protocol has that nobody configured.
    pub fn defaults(self) -> PoolConfig<ProtocolSettings> {
        let mut config = PoolConfig::default();
        config.protocol = ProtocolSettings::of(self);
        if matches!(self, Self::Http2 | Self::Grpc) {
            // Their clients keep few connections, and expect to find them.
            config.common.keep_alive_timeout = Duration::from_mins(5);
        }
        if self == Self::WebSocket {
            // Its Pings find those who are gone; who is there and has nothing to say is what a session
            // is kept for.
            config.common.keep_alive_timeout = Duration::from_hours(1);
        }
        config
    }
}

/// Does the same with the settings, whichever they are.
macro_rules! whichever {
    ($of:expr, $settings:ident => $then:expr) => {
        match $of {
            Self::Http($settings) => $then,
            Self::Https($settings) => $then,
            Self::Http2($settings) => $then,
            Self::Grpc($settings) => $then,
            Self::WebSocket($settings) => $then,
        }
    };
}

impl Settings for ProtocolSettings {
    type Patch = ProtocolPatch;

    fn patch(&self) -> ProtocolPatch {
        match self {
            Self::Http(it) => ProtocolPatch::Http(it.patch()),
            Self::Https(it) => ProtocolPatch::Https(it.patch()),
            Self::Http2(it) => ProtocolPatch::Http2(it.patch()),
            Self::Grpc(it) => ProtocolPatch::Grpc(it.patch()),
            Self::WebSocket(it) => ProtocolPatch::WebSocket(it.patch()),
        }
    }

    fn values(&self) -> Vec<(Key, Value)> {
        whichever!(self, it => it.values())
    }

    fn apply(&mut self, patch: &ProtocolPatch) {
        match (self, patch) {
            (Self::Http(it), ProtocolPatch::Http(patch)) => it.apply(patch),
            (Self::Https(it), ProtocolPatch::Https(patch)) => it.apply(patch),
            (Self::Http2(it), ProtocolPatch::Http2(patch)) => it.apply(patch),
            (Self::Grpc(it), ProtocolPatch::Grpc(patch)) => it.apply(patch),
            (Self::WebSocket(it), ProtocolPatch::WebSocket(patch)) => it.apply(patch),
            // A change of another protocol's settings has nothing to say here.
            (
                Self::Http(_)
                | Self::Https(_)
                | Self::Http2(_)
                | Self::Grpc(_)
                | Self::WebSocket(_),
                _,
            ) => {}
        }
    }

    fn problems(&self) -> Vec<SetError> {
        whichever!(self, it => it.problems())
    }
}

impl Patch for ProtocolPatch {
    fn keys(&self) -> &'static [Key] {
        whichever!(self, it => it.keys())
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), SetError> {
        whichever!(self, it => it.set(key, value))
    }
}

macro_rules! from {
    ($($settings:ident => $kind:ident),+) => {$(
        impl From<$settings> for ProtocolSettings {
            fn from(settings: $settings) -> Self {
                Self::$kind(settings)
            }
        }
    )+};
}
from!(
    HttpSettings => Http,
    HttpsSettings => Https,
    Http2Settings => Http2,
    GrpcSettings => Grpc,
    WebSocketSettings => WebSocket
);
