//! [`Streams`]: the streams of one connection, and when one of them has to be looked at.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
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
    /// On the heap, while there are any: most connections are idle.
    live: Option<Box<Live>>,
    idle_since: Timestamp,
}

/// The streams in flight, one at least.
#[derive(Debug)]
struct Live {
    streams: Slab<Arc<Stream>>,
    /// No wait is over before this.
    look_at: Timestamp,
    /// Who waits for the last of them to end.
    waiting: Option<Waker>,
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
                live: None,
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
        let live = inner.live.get_or_insert_default();
        live.look_at = live.look_at.min(now.after(shortest(limits)));
        let key = live.streams.insert(Arc::clone(&stream));
        let place = Place {
            streams: Arc::clone(self),
            key,
            clock: Arc::clone(clock),
        };
        (stream, place)
    }

    /// Waits until none is in flight.
    pub(crate) async fn ended(&self) {
        poll_fn(|cx| {
            let mut inner = self.inner();
            let Some(live) = &mut inner.live else {
                return Poll::Ready(());
            };
            live.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// How many are in flight.
    pub(crate) fn len(&self) -> usize {
        let inner = self.inner();
        inner.live.as_ref().map_or(0, |live| live.streams.len())
    }

    /// Whether one is in flight that is no session: those may be left at any time.
    pub(crate) fn has_requests(&self) -> bool {
        self.all().iter().any(|stream| !stream.has_session())
    }

    /// Since when none is in flight.
    pub(crate) fn idle_since(&self) -> Option<Timestamp> {
        let inner = self.inner();
        inner.live.is_none().then_some(inner.idle_since)
    }

    /// When the streams have to be looked at.
    pub(crate) fn look_at(&self) -> Option<Timestamp> {
        self.inner().live.as_ref().map(|live| live.look_at)
    }

    /// Something is over at this time. Whether the streams would have been looked at later.
    pub(super) fn look_by(&self, at: Timestamp) -> bool {
        let mut inner = self.inner();
        inner.live.as_mut().is_some_and(|live| {
            let later = live.look_at > at;
            live.look_at = live.look_at.min(at);
            later
        })
    }

    /// A limit has changed: nothing that was known of deadlines holds.
    pub(crate) fn look_soon(&self) {
        self.look_by(Timestamp::ZERO);
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
        if let Some(live) = &mut self.inner().live {
            // First, so that what comes up meanwhile can only make it earlier.
            live.look_at = now.after(shortest(limits));
        }
        for stream in self.all() {
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
        let live = inner.live.iter().flat_map(|live| &live.streams);
        live.map(|(_, it)| Arc::clone(it)).collect()
    }
}

impl Default for Live {
    fn default() -> Self {
        Self {
            streams: Slab::new(),
            look_at: Timestamp::MAX,
            waiting: None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut inner = self.streams.inner();
        inner.idle_since = now;
        let Some(live) = &mut inner.live else {
            return;
        };
        let ended = live.streams.try_remove(self.key);
        let last = if live.streams.is_empty() {
            inner.live.take()
        } else {
            None
        };
        drop(inner);
        // It may be the last owner: not under the lock.
        drop(ended);
        if let Some(waiting) = last.and_then(|live| live.waiting) {
            waiting.wake();
        }
    }
}

/// The shortest time after which anything that begins now can be over.
fn shortest(limits: &Timeouts) -> Duration {
    let rate = limits.min_rate.map(|min| min.grace);
    let all = [limits.request, limits.stream_idle, rate];
    all.into_iter().flatten().min().unwrap_or(Duration::MAX)
}
