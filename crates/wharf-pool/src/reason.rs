//! Why a connection ended, and why one was not let in: the closed sets behind logs, metrics, events.

/// Declares an enum whose values have a fixed text for logs and metrics.
macro_rules! reasons {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$inner])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The text in logs, metrics and the admin API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

reasons! {
    /// The one cause for which a connection ended.
    ///
    /// The set is one for all protocols, so that an operator learns it once; the pool itself gives
    /// only the reasons that any connection can have and takes the others from the adapters.
    CloseReason {
        /// The peer closed in good order with nothing in flight.
        ClientClosed = "client_closed",
        /// The last answer said that it was the last, by the peer's wish or the application's.
        Completed = "completed",
        /// Nothing was in flight for `keep_alive_timeout`.
        Idle = "idle",
        /// No complete first request within `connection_timeout` of the accept.
        ConnectionTimeout = "connection_timeout",
        /// A request head was begun and not ended within `headers_timeout`.
        HeadersTimeout = "headers_timeout",
        /// The handler owed a response for longer than `request_timeout`.
        RequestTimeout = "request_timeout",
        /// The peer owed bytes, or room for bytes, for `stream_idle_timeout`.
        StreamIdle = "stream_idle",
        /// A request body came slower than `min_data_rate`.
        SlowRequest = "slow_request",
        /// A response was taken slower than `min_data_rate`.
        SlowReader = "slow_reader",
        /// The kernel gave the peer up (keep-alive or `user_timeout`).
        PeerDead = "peer_dead",
        /// A keep-alive ping was not answered.
        PingTimeout = "ping_timeout",
        /// The TLS handshake failed.
        TlsError = "tls_error",
        /// The TLS handshake did not end in time.
        TlsTimeout = "tls_timeout",
        /// The peer's bytes were not a request that we accept.
        BadRequest = "bad_request",
        /// The peer broke the rules of its protocol.
        ProtocolError = "protocol_error",
        /// HTTP/2 frames that cost us more than they mean.
        Http2Abuse = "http2_abuse",
        /// WebSocket frames that cost us more than they mean.
        WebSocketAbuse = "websocket_abuse",
        /// A message, body or head was larger than allowed.
        MessageTooLarge = "message_too_large",
        /// A WebSocket ping was not answered.
        PongTimeout = "pong_timeout",
        /// A WebSocket peer took messages slower than they were sent.
        SlowConsumer = "slow_consumer",
        /// The connection reached `max_age`.
        MaxAge = "max_age",
        /// The connection served `max_requests`.
        MaxRequests = "max_requests",
        /// It was idle and its place was needed.
        Reclaimed = "reclaimed",
        /// Memory, descriptors or processors ran short.
        Pressure = "pressure",
        /// An operator closed it.
        Admin = "admin",
        /// A change of configuration closed it.
        Config = "config",
        /// It finished in good order while the server drained.
        Drained = "drained",
        /// It was cut at the end of the drain.
        DrainDeadline = "drain_deadline",
        /// The peer reset the connection, or vanished in the middle of an exchange.
        PeerReset = "peer_reset",
        /// The application panicked where no error response could be sent any more.
        Panic = "panic",
        /// The PROXY protocol header was wrong or late.
        ProxyProtocol = "proxy_protocol",
        /// The pool of what it turned out to speak was full.
        Refused = "refused",
        /// The application failed in the middle of a response body.
        ApplicationError = "application_error",
        /// Of a connection to an upstream: whoever had asked gave the answer up before its end.
        Abandoned = "abandoned",
    }
}

impl CloseReason {
    /// Whether a deadline or a minimum rate ended the connection.
    pub const fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::Idle
                | Self::ConnectionTimeout
                | Self::HeadersTimeout
                | Self::RequestTimeout
                | Self::StreamIdle
                | Self::SlowRequest
                | Self::SlowReader
                | Self::PeerDead
                | Self::PingTimeout
                | Self::TlsTimeout
                | Self::PongTimeout
        )
    }

    /// Whether the connection ended because somebody did something wrong.
    pub const fn is_error(self) -> bool {
        matches!(
            self,
            Self::TlsError
                | Self::BadRequest
                | Self::ProtocolError
                | Self::Http2Abuse
                | Self::WebSocketAbuse
                | Self::MessageTooLarge
                | Self::SlowConsumer
                | Self::PeerReset
                | Self::Panic
                | Self::ProxyProtocol
                | Self::ApplicationError
        )
    }
}

reasons! {
    /// Why a connection was not let in.
    RejectReason {
        /// The process holds as many connections as it may.
        ProcessLimit = "process_limit",
        /// The listener holds as many connections as it may.
        ListenerLimit = "listener_limit",
        /// The pool holds as many connections as it may.
        PoolLimit = "pool_limit",
        /// The peer's address holds as many connections as one may.
        IpLimit = "ip_limit",
        /// Connections came faster than `accept_rate`.
        Rate = "rate",
        /// Too many TLS handshakes were under way.
        TlsLimit = "tls_limit",
        /// Memory, descriptors or processors ran short.
        Pressure = "pressure",
        /// The server was draining.
        Draining = "draining",
        /// A peer that may not speak the PROXY protocol used a listener that requires it.
        UntrustedProxy = "untrusted_proxy",
        /// The connection was no longer usable when it was to enter the pool.
        Invalid = "invalid",
    }
}

impl std::error::Error for RejectReason {}

reasons! {
    /// What a limit that is on a dry run would have done: the reason that it would have given.
    DryRunReason {
        /// [`RejectReason::ProcessLimit`].
        ProcessLimit = "process_limit",
        /// [`RejectReason::ListenerLimit`].
        ListenerLimit = "listener_limit",
        /// [`RejectReason::PoolLimit`].
        PoolLimit = "pool_limit",
        /// [`RejectReason::IpLimit`].
        IpLimit = "ip_limit",
        /// [`RejectReason::Rate`].
        Rate = "rate",
        /// [`CloseReason::ConnectionTimeout`].
        ConnectionTimeout = "connection_timeout",
        /// [`CloseReason::HeadersTimeout`].
        HeadersTimeout = "headers_timeout",
        /// [`CloseReason::RequestTimeout`].
        RequestTimeout = "request_timeout",
        /// [`CloseReason::Idle`].
        Idle = "idle",
        /// [`CloseReason::StreamIdle`].
        StreamIdle = "stream_idle",
        /// [`CloseReason::SlowRequest`].
        SlowRequest = "slow_request",
        /// [`CloseReason::SlowReader`].
        SlowReader = "slow_reader",
        /// [`CloseReason::MaxAge`].
        MaxAge = "max_age",
        /// [`CloseReason::MaxRequests`].
        MaxRequests = "max_requests",
    }
}

impl DryRunReason {
    /// Whether a newcomer would have been turned away; else a connection would have ended.
    pub const fn rejects(self) -> bool {
        matches!(
            self,
            Self::ProcessLimit | Self::ListenerLimit | Self::PoolLimit | Self::IpLimit | Self::Rate
        )
    }
}
