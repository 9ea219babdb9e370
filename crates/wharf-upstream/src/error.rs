//! [`SendError`]: why a request was not answered.

use std::sync::Arc;
use std::time::Duration;

use crate::address::EndpointAddress;
use crate::connect::ConnectError;

/// Why a request was not answered.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The upstream has no endpoint that may be asked.
    #[error("no endpoint may be asked")]
    NoEndpoint,
    /// The upstream was closed.
    #[error("the upstream is closed")]
    Closed,
    /// No connection could be made.
    #[error("could not connect to {endpoint}")]
    Connect {
        /// Whom it was to be sent to.
        endpoint: EndpointAddress,
        /// Why not.
        source: ConnectError,
    },
    /// As many requests wait for a connection as may.
    #[error("too many requests wait for a connection to {endpoint}")]
    TooManyWaiting {
        /// Whom it was to be sent to.
        endpoint: EndpointAddress,
    },
    /// No connection came free within `wait_timeout`.
    #[error("no connection to {endpoint} came free in time")]
    WaitTimeout {
        /// Whom it was to be sent to.
        endpoint: EndpointAddress,
    },
    /// More requests wait than can be answered in time, and this one had waited longest.
    #[error("too many requests have waited too long for a connection to {endpoint}")]
    Shed {
        /// Whom it was to be sent to.
        endpoint: EndpointAddress,
    },
    /// The endpoint has as many sessions as it may, and this would be one more.
    #[error("there are too many sessions with {endpoint}")]
    TooManySessions {
        /// Whom it was to be sent to.
        endpoint: EndpointAddress,
    },
    /// The time that the request was given is over.
    #[error("the time for the request is over")]
    DeadlineExceeded {
        /// Whom it was sent to, or to be sent to.
        endpoint: EndpointAddress,
        /// Whether no byte of it was sent.
        unsent: Unsent,
    },
    /// The head of the answer did not come within `response_timeout`.
    #[error("no answer from {endpoint} within {after:?}")]
    ResponseTimeout {
        /// Whom it was sent to.
        endpoint: EndpointAddress,
        /// The limit.
        after: Duration,
    },
    /// The endpoint took nothing of the request's body for `send_timeout`.
    #[error("{endpoint} takes nothing of the request's body")]
    SendTimeout {
        /// Whom it was sent to.
        endpoint: EndpointAddress,
    },
    /// The connection broke, or the endpoint refused the stream, before it could have looked at the request.
    #[error("the connection to {endpoint} ended before the request was sent")]
    Unsent {
        /// Whom it was to be sent to.
        endpoint: EndpointAddress,
        /// What the codec says, if it was asked.
        source: Option<Arc<hyper::Error>>,
    },
    /// The connection broke after the request, or a part of it, was sent.
    #[error("the connection to {endpoint} ended before the answer")]
    Broken {
        /// Whom it was sent to.
        endpoint: EndpointAddress,
        /// What the codec says.
        source: Arc<hyper::Error>,
    },
    /// What came was not an answer.
    #[error("the answer of {endpoint} is malformed")]
    Malformed {
        /// Who sent it.
        endpoint: EndpointAddress,
        /// What the codec says; nothing of an upgrade that nobody had asked for.
        source: Option<Arc<hyper::Error>>,
    },
    /// The body of the request failed: whoever sends it did not send it whole.
    #[error("the request's body failed")]
    RequestBody {
        /// Whom it was sent to.
        endpoint: EndpointAddress,
        /// What the codec says.
        source: Arc<hyper::Error>,
    },
    /// The request is not one that can be sent.
    #[error("the request cannot be sent: {why}")]
    BadRequest {
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Whether an endpoint cannot have seen anything of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "yes or no")]
pub enum Unsent {
    /// Nothing of it was sent.
    Nothing,
    /// Something of it may have been.
    Something,
}

impl SendError {
    /// The label in metrics and logs, from a closed set.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoEndpoint => "no_endpoint",
            Self::Closed => "closed",
            Self::Connect { source, .. } => source.kind(),
            Self::TooManyWaiting { .. } => "too_many_waiting",
            Self::WaitTimeout { .. } => "wait_timeout",
            Self::Shed { .. } => "shed",
            Self::TooManySessions { .. } => "too_many_sessions",
            Self::DeadlineExceeded { .. } => "deadline",
            Self::ResponseTimeout { .. } => "response_timeout",
            Self::SendTimeout { .. } => "send_timeout",
            Self::Unsent { .. } => "unsent",
            Self::Broken { .. } => "broken",
            Self::Malformed { .. } => "malformed",
            Self::RequestBody { .. } => "request_body",
            Self::BadRequest { .. } => "bad_request",
        }
    }

    /// Every label of [`SendError::kind`].
    pub const KINDS: [&'static str; 20] = [
        "no_endpoint",
        "closed",
        "connect_refused",
        "connect_timeout",
        "connect_failed",
        "resolve_failed",
        "tls_failed",
        "connection_limit",
        "too_many_waiting",
        "wait_timeout",
        "shed",
        "too_many_sessions",
        "deadline",
        "response_timeout",
        "send_timeout",
        "unsent",
        "broken",
        "malformed",
        "request_body",
        "bad_request",
    ];

    /// Those of [`SendError::KINDS`] that say that a request was refused here: no endpoint had to do with it.
    pub const REFUSALS: [&'static str; 7] = [
        "no_endpoint",
        "closed",
        "connection_limit",
        "too_many_waiting",
        "wait_timeout",
        "shed",
        "too_many_sessions",
    ];

    /// Whether no endpoint can have seen anything of the request, so that sending it again does
    /// nothing twice. A stream that was refused ([RFC 9113 8.7]) counts as unseen.
    ///
    /// [RFC 9113 8.7]: https://www.rfc-editor.org/rfc/rfc9113#section-8.7
    pub const fn nothing_was_sent(&self) -> bool {
        match self {
            Self::NoEndpoint
            | Self::Closed
            | Self::Connect { .. }
            | Self::TooManyWaiting { .. }
            | Self::WaitTimeout { .. }
            | Self::Shed { .. }
            | Self::TooManySessions { .. }
            | Self::Unsent { .. }
            | Self::BadRequest { .. } => true,
            Self::DeadlineExceeded { unsent, .. } => matches!(unsent, Unsent::Nothing),
            Self::ResponseTimeout { .. }
            | Self::SendTimeout { .. }
            | Self::Broken { .. }
            | Self::Malformed { .. }
            | Self::RequestBody { .. } => false,
        }
    }

    /// Whether time ran out, so that a gateway answers 504 and not 502 or 503.
    pub const fn is_timeout(&self) -> bool {
        match self {
            Self::DeadlineExceeded { .. }
            | Self::ResponseTimeout { .. }
            | Self::SendTimeout { .. } => true,
            Self::Connect { source, .. } => source.is_timeout(),
            Self::NoEndpoint
            | Self::Closed
            | Self::TooManyWaiting { .. }
            | Self::WaitTimeout { .. }
            | Self::Shed { .. }
            | Self::TooManySessions { .. }
            | Self::Unsent { .. }
            | Self::Broken { .. }
            | Self::Malformed { .. }
            | Self::RequestBody { .. }
            | Self::BadRequest { .. } => false,
        }
    }

    /// Whether there is too much to do, so that a gateway answers 503 with `Retry-After`.
    pub const fn is_overload(&self) -> bool {
        matches!(
            self,
            Self::NoEndpoint
                | Self::Closed
                | Self::TooManyWaiting { .. }
                | Self::WaitTimeout { .. }
                | Self::Shed { .. }
                | Self::TooManySessions { .. }
        )
    }

    /// The endpoint that it is about, if one had been chosen.
    pub const fn endpoint(&self) -> Option<&EndpointAddress> {
        match self {
            Self::NoEndpoint | Self::Closed | Self::BadRequest { .. } => None,
            Self::Connect { endpoint, .. }
            | Self::TooManyWaiting { endpoint }
            | Self::WaitTimeout { endpoint }
            | Self::Shed { endpoint }
            | Self::TooManySessions { endpoint }
            | Self::DeadlineExceeded { endpoint, .. }
            | Self::ResponseTimeout { endpoint, .. }
            | Self::SendTimeout { endpoint }
            | Self::Unsent { endpoint, .. }
            | Self::Broken { endpoint, .. }
            | Self::Malformed { endpoint, .. }
            | Self::RequestBody { endpoint, .. } => Some(endpoint),
        }
    }
}
