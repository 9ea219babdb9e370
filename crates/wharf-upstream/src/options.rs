//! [`SendOptions`]: what a request may cost, and where it is to go.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::attempts::AttemptObserver;

/// What a request may cost, and where it is to go.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SendOptions {
    /// With [`Balance::ConsistentHash`](crate::Balance::ConsistentHash): what the same endpoint is to be
    /// chosen by, evenly spread ([`stable_hash`](wharf_control::upstream::stable_hash)).
    pub hash: Option<u64>,
    /// When the head of the answer is due. Also how long it is worth waiting for a connection.
    pub deadline: Option<Instant>,
    /// Who goes before whom while requests wait for a connection; greater is more important.
    pub importance: u8,
    /// The longest from the end of the request to the head of the answer.
    pub response_timeout: ResponseTimeout,
    /// Whether the request asks for another protocol on its connection (`Upgrade`), which only HTTP/1 can
    /// give. To `https` endpoints it takes a connection of that version.
    pub upgrade: bool,
    /// How often the request is sent again, to another endpoint if there is one.
    pub retries: u8,
    /// What is sent again.
    pub retry: Retry,
    /// Who is told of each attempt.
    pub observer: Option<Arc<dyn AttemptObserver>>,
    /// How long the answer to a safe request without a body may take before another endpoint is asked too; the
    /// first good answer is taken, and the other request given up. Off by default. What a service takes for all
    /// but 5 % of its requests is a good value ("The Tail at Scale"): the budget of retries pays for about as many.
    pub hedge_after: Option<Duration>,
}

/// The longest from the end of the request to the head of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseTimeout {
    /// As the pool has it.
    #[default]
    Pool,
    /// As long as it takes.
    Off,
    /// This.
    After(Duration),
}

impl ResponseTimeout {
    pub(crate) const fn or(self, pools: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Pool => pools,
            Self::Off => None,
            Self::After(limit) => Some(limit),
        }
    }
}

/// Which requests are sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// Those of which no endpoint can have seen anything.
    #[default]
    Unsent,
    /// Those too whose method is idempotent (RFC 9110 9.2.2) and which have no body.
    Idempotent,
}
