//! [`UpstreamConnection`]: what a pool knows of a connection to an endpoint.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_pool::{CloseReason, Command, Connection, Control};

use crate::address::EndpointAddress;
use crate::settings::PoolSettings;

/// The protocol's side of a connection to an endpoint.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpstreamConnection {
    endpoint: EndpointAddress,
    /// Whether its last answer was read to the end while the codec was not ready for another request.
    returning: AtomicBool,
    /// Why it is none of those that requests share, if it is not.
    beside: OnceLock<Beside>,
    /// How many requests at once its endpoint allows, on HTTP/2.
    max_streams: AtomicU32,
    /// How long its endpoint keeps it without a request, in milliseconds; zero if it has not said.
    patience: AtomicU64,
    /// Told when its socket is closed, whoever owned it.
    pub(crate) gone: CancellationToken,
}

/// Why a connection is none of those that requests share, and that `max_connections_per_endpoint` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// After an upgrade its bytes are somebody else's, for as long as he likes.
    Session,
    /// It was made to see whether one can be made. Where requests have all the others, that is when it matters.
    Check,
}

impl UpstreamConnection {
    pub(crate) fn new(endpoint: EndpointAddress) -> Self {
        Self {
            endpoint,
            returning: AtomicBool::new(false),
            beside: OnceLock::new(),
            max_streams: AtomicU32::new(u32::MAX),
            patience: AtomicU64::new(0),
            gone: CancellationToken::new(),
        }
    }

    /// Where it leads.
    pub const fn endpoint(&self) -> &EndpointAddress {
        &self.endpoint
    }

    /// From now on it is none of those that requests share; false if it was not before.
    pub(crate) fn set_beside(&self, beside: Beside) -> bool {
        self.beside.set(beside).is_ok()
    }

    pub(crate) fn beside(&self) -> Option<Beside> {
        self.beside.get().copied()
    }

    /// Whether its bytes are somebody else's.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.beside() == Some(Beside::Session)
    }

    pub(crate) fn set_max_streams(&self, most: u32) {
        self.max_streams.store(most, Ordering::Relaxed);
    }

    pub(crate) fn max_streams(&self) -> u32 {
        self.max_streams.load(Ordering::Relaxed)
    }

    /// Notes how long its endpoint keeps it; returns whether that is news.
    pub(crate) fn set_patience(&self, patience: Duration) -> bool {
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.patience.swap(millis, Ordering::Relaxed) != millis
    }

    /// How long it may have nothing in flight: not so long as its endpoint says, by a fifth, for our close and
    /// its would cross.
    pub(crate) fn idle_timeout(&self, limit: Duration) -> Duration {
        match self.patience.load(Ordering::Relaxed) {
            0 => limit,
            said => limit.min(Duration::from_millis(said / 5 * 4)),
        }
    }

    /// Sequentially consistent: the driver makes the codec ready and then looks here, the release
    /// writes here and then looks whether the codec is ready; one of the two must see the other.
    pub(crate) fn set_returning(&self, returning: bool) {
        self.returning.store(returning, Ordering::SeqCst);
    }

    pub(crate) fn is_returning(&self) -> bool {
        self.returning.load(Ordering::SeqCst)
    }
}

impl Connection for UpstreamConnection {
    type Settings = PoolSettings;

    /// Two buffers of 8 KiB and the state of the codec, as for a connection of HTTP/1 that is served.
    fn memory(_: &PoolSettings) -> u64 {
        19_000
    }

    fn begin_close(&self, control: &Control, reason: CloseReason) {
        // Asking a connection that has been told to end changes nothing.
        if !matches!(control.command(), Some(Command::Abort(_))) {
            control.finish(reason);
        }
    }
}
