//! [`Fate`]: what became of a connection.

use std::io;

use wharf_pool::CloseReason;

/// What became of the connection, as far as its two directions and its answers tell.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each set once"
)]
pub(crate) struct Fate {
    /// The peer has closed its direction.
    pub(crate) read_closed: bool,
    /// It did so in the middle of an exchange.
    pub(crate) left_amid: bool,
    /// The peer asked for this connection to end with the answer to its last request.
    pub(crate) peer_ends: bool,
    /// The socket failed.
    pub(crate) error: Option<io::ErrorKind>,
    /// An answer said that it is the last, for this reason.
    pub(crate) said_close: Option<CloseReason>,
    /// The application's body panicked.
    pub(crate) panicked: bool,
    /// The application's body failed.
    pub(crate) app_failed: bool,
    /// The driver has given the connection up.
    pub(crate) cut: bool,
}

impl Fate {
    /// Whether an answer that is not complete will never be.
    pub(crate) fn is_broken(&self) -> bool {
        self.cut || self.read_closed || self.panicked || self.app_failed || self.error.is_some()
    }
}
