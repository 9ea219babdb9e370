//! [`Streams`]: the streams of one connection, and when one of them has to be looked at.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use h2::Reason;
use slab::Slab;
use wharf_control::{Deadline, Timestamp};
use wharf_pool::config::Limit;
use wharf_pool::{CloseReason, DryRunReason, TICK};

use super::request::Kind;
use super::stream::Stream;
use crate::waits::{Timeouts, limit_of};

/// The streams of one connection that are in flight.
///
/// A stream does not arm a timer. Every wait takes at least the shortest of the limits, so it is
/// enough to look at all streams when that has passed since the last look, or when the first of their
/// deadlines has.
#[derive(Debug)]
pub(crate) struct Streams {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    live: Slab<Arc<Stream>>,
    /// No wait is over before this.
    look_at: Timestamp,
    idle_since: Timestamp,
}

/// The place of a stream among the others; dropped, the stream has ended.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Arc<Streams>,
    key: usize,
    clock: Arc<wharf_pool::Clock>,
}

impl Streams {
    pub(crate) fn new(now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                live: Slab::new(),
                look_at: Timestamp::MAX,
                idle_since: now,
            }),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics under this lock; what it protects is whole between any two statements.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a stream from now on; `body` says whether one follows its head.
    pub(crate) fn begin(
        self: &Arc<Self>,
        clock: &Arc<wharf_pool::Clock>,
        (body, kind): (bool, Kind),
        limits: &Timeouts,
    ) -> (Arc<Stream>, Place) {
        let now = clock.now();
        let stream = Arc::new(Stream::new(Arc::clone(self), body, kind, now));
        let mut inner = self.inner();
        inner.look_at = inner.look_at.min(now.after(shortest(limits)));
        let key = inner.live.insert(Arc::clone(&stream));
        let place = Place {
            streams: Arc::clone(self),
            key,
            clock: Arc::clone(clock),
        };
        (stream, place)
    }

    /// Nothing has been in flight for a while: gives back the room of what was.
    pub(crate) fn rest(&self) {
        let mut inner = self.inner();
        if inner.live.is_empty() {
            inner.live = Slab::new();
        }
    }

    /// How many are in flight.
    pub(crate) fn len(&self) -> usize {
        self.inner().live.len()
    }

    /// Whether one is in flight that is no session: those may be left at any time.
    pub(crate) fn has_requests(&self) -> bool {
        self.all().iter().any(|stream| !stream.has_session())
    }

    /// Since when none is in flight.
    pub(crate) fn idle_since(&self) -> Option<Timestamp> {
        let inner = self.inner();
        inner.live.is_empty().then_some(inner.idle_since)
    }

    /// When the streams have to be looked at.
    pub(crate) fn look_at(&self) -> Option<Timestamp> {
        let inner = self.inner();
        (!inner.live.is_empty()).then_some(inner.look_at)
    }

    /// Something is over at this time. Whether the streams would have been looked at later.
    pub(super) fn look_by(&self, at: Timestamp) -> bool {
        let mut inner = self.inner();
        let later = inner.look_at > at;
        inner.look_at = inner.look_at.min(at);
        later
    }

    /// A limit has changed: nothing that was known of deadlines holds.
    pub(crate) fn look_soon(&self) {
        self.inner().look_at = Timestamp::ZERO;
    }

    /// Looks at every stream, and ends what has taken too long. `held` is whether the connection as a
    /// whole was held up since the last look: then no stream is to blame for what it could not send.
    /// Returns what limits on a dry run would have done; they do not hold any more then.
    pub(crate) fn look(
        &self,
        limits: &mut Timeouts,
        held: bool,
        now: Timestamp,
    ) -> Vec<DryRunReason> {
        let mut rehearsed = Vec::new();
        let live: Vec<_> = {
            let mut inner = self.inner();
            // First, so that what comes up meanwhile can only make it earlier.
            inner.look_at = now.after(shortest(limits));
            inner.live.iter().map(|(_, it)| Arc::clone(it)).collect()
        };
        for stream in live {
            if held {
                stream.excuse(now);
            }
            let due = |deadline: &Deadline| deadline.at.after(TICK) <= now;
            while let Some(deadline) = stream.deadline(limits).filter(due) {
                let bound = limit_of(deadline.wait).filter(|(limit, _)| {
                    let own = *limit == Limit::RequestTimeout && !stream.owes_as_configured();
                    // What a session waits for, its own pool says.
                    !own && !stream.has_session() && limits.rehearse(*limit)
                });
                let Some((_, reason)) = bound else {
                    stream.over(deadline.wait, now);
                    break;
                };
                rehearsed.push(reason);
            }
            if let Some(deadline) = stream.deadline(limits) {
                self.look_by(deadline.at);
            }
        }
        rehearsed
    }

    /// The connection is to finish: those who have a word for that say it.
    pub(crate) fn say_goodbye(&self, reason: CloseReason) {
        for stream in self.all() {
            stream.say_goodbye(reason);
        }
    }

    /// Ends all of them.
    pub(crate) fn abort_all(&self, code: Reason) {
        for stream in self.all() {
            stream.abort(code);
        }
    }

    fn all(&self) -> Vec<Arc<Stream>> {
        let inner = self.inner();
        inner.live.iter().map(|(_, it)| Arc::clone(it)).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut inner = self.streams.inner();
        let ended = inner.live.try_remove(self.key);
        inner.idle_since = now;
        drop(inner);
        // It may be the last owner: not under the lock.
        drop(ended);
    }
}

/// The shortest time after which anything that begins now can be over.
fn shortest(limits: &Timeouts) -> Duration {
    let rate = limits.min_rate.map(|min| min.grace);
    let all = [limits.request, limits.stream_idle, rate];
    all.into_iter().flatten().min().unwrap_or(Duration::MAX)
}
