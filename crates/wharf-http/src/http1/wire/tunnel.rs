//! [`Tunnel`]: what an upgrade leaves behind.

use std::task::Waker;
use std::time::Duration;

use wharf_pool::{Outcome, RequestGuard};

use crate::connection::HttpConnection;
use crate::websocket::Tap;

/// A request that became another protocol, and what its handshake came to.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) guard: RequestGuard<HttpConnection>,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
}

/// What an upgrade leaves behind.
#[derive(Debug, Default)]
pub(super) enum Tunnel {
    #[default]
    None,
    /// The bytes belong to whoever asked for the upgrade.
    Open {
        reader: Option<Waker>,
        writer: Option<Waker>,
    },
    /// The same, and they are a WebSocket's: we listen, and have something to say ourselves.
    Tapped(Box<Tap>),
    /// The driver has ended it: both directions fail.
    Cut,
}
