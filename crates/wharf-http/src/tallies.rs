//! [`Tallies`]: what the connections of each listener have come to, beyond what every pool counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharf_pool::ListenerName;

use crate::http2::Http2Abuse;
use crate::tls::{HandshakeError, TlsInfo};

/// Counts by a word of a closed set.
pub type Counts = BTreeMap<&'static str, u64>;

/// What the connections of one listener have come to, since it was first opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerTally {
    /// TLS handshakes that are under way.
    pub handshakes_active: usize,
    /// Those that came to their end: `full` or `resumed`, and those that did not, by their cause.
    pub handshakes: Counts,
    /// The versions of TLS that were agreed on.
    pub tls_versions: Counts,
    /// The cipher suites that were agreed on.
    pub ciphers: Counts,
    /// Connections that were ended for what their peers did with HTTP/2's frames, by kind.
    pub http2_abuse: Counts,
}

/// The tallies of a server's listeners.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tallies(Arc<Mutex<BTreeMap<ListenerName, Arc<Tally>>>>);

impl Tallies {
    /// That of one listener; a listener that is opened again goes on with it.
    pub(crate) fn of(&self, listener: &ListenerName) -> Arc<Tally> {
        Arc::clone(self.lock().entry(listener.clone()).or_default())
    }

    /// What there is to say of one listener.
    pub(crate) fn read(&self, listener: &ListenerName) -> ListenerTally {
        let tally = self.lock().get(listener).cloned();
        tally.map(|tally| tally.read()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ListenerName, Arc<Tally>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tally of one listener. Written once for a connection or less, so a lock is cheap enough.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    shaking: AtomicUsize,
    counts: Mutex<ListenerTally>,
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, ListenerTally> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> ListenerTally {
        ListenerTally {
            handshakes_active: self.shaking.load(Ordering::Relaxed),
            ..self.counts().clone()
        }
    }

    /// A TLS handshake is under way until the guard is dropped.
    pub(crate) fn shaking(self: &Arc<Self>) -> Shaking {
        self.shaking.fetch_add(1, Ordering::Relaxed);
        Shaking(Arc::clone(self))
    }

    /// A TLS handshake has come to its end.
    pub(crate) fn secured(&self, info: &TlsInfo) {
        let mut counts = self.counts();
        let kind = if info.resumed { "resumed" } else { "full" };
        *counts.handshakes.entry(kind).or_default() += 1;
        *counts.tls_versions.entry(info.version).or_default() += 1;
        *counts.ciphers.entry(info.cipher).or_default() += 1;
    }

    /// A TLS handshake has come to nothing.
    pub(crate) fn refused(&self, error: &HandshakeError) {
        *self.counts().handshakes.entry(error.as_str()).or_default() += 1;
    }

    /// A connection is ended for what its peer does.
    pub(crate) fn abused(&self, kind: Http2Abuse) {
        *self.counts().http2_abuse.entry(kind.as_str()).or_default() += 1;
    }
}

/// A TLS handshake that is under way.
#[derive(Debug)]
pub(crate) struct Shaking(Arc<Tally>);

impl Drop for Shaking {
    fn drop(&mut self) {
        self.0.shaking.fetch_sub(1, Ordering::Relaxed);
    }
}
