//! [`Head`]: what a request head says about its message and its connection, and its limits.

/// The limits of one request, read anew whenever bytes arrive.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the words of the configuration")]
pub(crate) struct HeadLimits {
    /// Bytes of the head, from the method to the empty line.
    pub max_header_size: usize,
    /// Fields of the head.
    pub max_headers: usize,
    /// Bytes of the request target.
    pub max_target: usize,
    /// Bytes of the body without its chunk framing; `None` is without limit.
    pub max_body_size: Option<u64>,
}

/// What a complete head says about its message and its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The method.
    pub method: Method,
    /// The version.
    pub version: Version,
    /// How the body is delimited.
    pub body: BodyFraming,
    /// What the client asks of us.
    pub asks: Asks,
}

/// The method, as far as it matters to a connection. CONNECT is always refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Patch,
    Trace,
    /// Any other token.
    Other,
}

/// The version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http10,
    Http11,
}

/// How the end of a body is found (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// There is none.
    None,
    /// Content-Length; with 0 the message ends at its head, as with [`BodyFraming::None`].
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// What the client asks of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks(u8);

impl Asks {
    pub(super) const KEEP_ALIVE: Self = Self(1);
    pub(super) const CONTINUE: Self = Self(1 << 1);
    pub(super) const UPGRADE: Self = Self(1 << 2);

    /// To keep the connection after the answer (RFC 9112 9.3).
    pub(crate) const fn keep_alive(self) -> bool {
        self.0 & Self::KEEP_ALIVE.0 != 0
    }

    /// For `100 Continue` before it sends the body (RFC 9110 10.1.1).
    #[cfg(test)]
    pub(crate) const fn expect_continue(self) -> bool {
        self.0 & Self::CONTINUE.0 != 0
    }

    /// For another protocol: Upgrade, and `upgrade` in Connection (RFC 9110 7.8).
    pub(crate) const fn upgrade(self) -> bool {
        self.0 & Self::UPGRADE.0 != 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
