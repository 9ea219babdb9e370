//! [`SendOptions`]: what a request may cost, and where it is to go.

use tokio::time::Instant;

/// What a request may cost, and where it is to go.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SendOptions {
    /// With [`Balance::ConsistentHash`](crate::Balance::ConsistentHash): what the same endpoint is to be
    /// chosen by, evenly spread ([`stable_hash`](wharf_control::upstream::stable_hash)).
    pub hash: Option<u64>,
    /// When the head of the answer is due. Also how long it is worth waiting for a connection.
    pub deadline: Option<Instant>,
    /// Who goes before whom while requests wait for a connection; greater is more important.
    pub importance: u8,
    /// How often the request is sent again, to another endpoint if there is one.
    pub retries: u8,
    /// What is sent again.
    pub retry: Retry,
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
