//! [`WebSocketError`]: why nothing more is heard or sent in a session.

use std::io;

/// Why nothing more is heard or sent in a session. What the connection ended for is its close reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// It is over, or about to be.
    #[error("the session has ended")]
    Ended,
    /// The client has sent what it must not, and was told so.
    #[error("the client has broken a rule of the protocol")]
    Broken,
    /// The client has gone without a Close.
    #[error("the client has left without a word")]
    Unclosed,
    /// The connection has failed.
    #[error("the connection has failed")]
    Failed(#[source] io::Error),
}
