//! [`Gate`]: the places there are, who has them, and who waits for one.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wharf_control::overload::{Class, ConcurrencyLimit, LimitRecorder, Line, Verdict};
use wharf_control::{Random, Timestamp};

use super::entry::{Entry, Later};
use super::permit::{Permit, Place};
use super::refusal::Why;
use super::report::{AdmissionReport, Tally};
use super::settings::{AdmissionMode, AdmissionSettings};
use super::stripes::Stripes;

/// How often the law is asked whether it has seen enough.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A request of so many looks how long it takes until a task that is ready is polled.
const SAMPLE: u32 = 16;

/// A worker that comes back later than this has a queue; then every request stands back once.
const CROWDED: Duration = Duration::from_millis(1);

/// For how long, after the last that met one.
const CROWDED_FOR: Duration = Duration::from_millis(200);

/// The places there are, who has them, and who waits for one.
///
/// `in_flight`, `limit` and `waiting` are counters of their own: a request that finds room touches no lock that others want. Whoever
/// gives a place back first counts down and then looks whether somebody waits; whoever joins the line first counts himself as waiting and then
/// looks whether there is a place. Both in one order for all threads (`SeqCst`), so one of the two sees the other.
pub(super) struct Gate {
    origin: Instant,
    mode: AtomicU8,
    in_flight: CachePadded<AtomicU32>,
    limit: CachePadded<AtomicU32>,
    waiting: AtomicU32,
    /// The most in flight since the law looked last.
    peak: AtomicU32,
    /// Nanoseconds: when the law looks next, until when workers count as crowded, from when latencies count.
    look_at: AtomicU64,
    crowded_until: AtomicU64,
    epoch: AtomicU64,
    line: Mutex<Line<oneshot::Sender<Place>>>,
    law: Mutex<Law>,
    stripes: Stripes,
    tally: Tally,
}

struct Law {
    limit: ConcurrencyLimit,
    recorder: LimitRecorder,
    random: Random,
    verdict: Verdict,
    lag: Option<Duration>,
}

impl Law {
    fn new(settings: &AdmissionSettings, now: Timestamp) -> Self {
        // Of another process's chance: servers that were started together are not to probe together.
        let seed = RandomState::new().build_hasher().finish();
        Self {
            limit: ConcurrencyLimit::new(settings.law(), now),
            recorder: LimitRecorder::new(now),
            random: Random::new(seed),
            verdict: Verdict::Hold,
            lag: None,
        }
    }
}

impl Gate {
    pub(super) fn new(settings: AdmissionSettings) -> Arc<Self> {
        let law = Law::new(&settings, Timestamp::ZERO);
        Arc::new(Self {
            origin: Instant::now(),
            mode: AtomicU8::new(settings.mode as u8),
            in_flight: CachePadded::new(AtomicU32::new(0)),
            limit: CachePadded::new(AtomicU32::new(law.limit.limit())),
            waiting: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            look_at: AtomicU64::new(0),
            crowded_until: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            line: Mutex::new(Line::new(Timestamp::ZERO)),
            law: Mutex::new(law),
            stripes: Stripes::new(),
            tally: Tally::default(),
        })
    }

    pub(super) fn set(self: &Arc<Self>, settings: AdmissionSettings) {
        let mut law = self.law();
        *law = Law::new(&settings, self.now());
        self.put_in_force(&law);
        self.mode.store(settings.mode as u8, Ordering::Relaxed);
        drop(law);
        self.hand_on();
    }

    pub(super) fn is_on(&self) -> bool {
        self.mode.load(Ordering::Relaxed) != AdmissionMode::Off as u8
    }

    fn is_rehearsed(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == AdmissionMode::DryRun as u8
    }

    /// Whether somebody may have to wait.
    fn limits(&self) -> bool {
        self.mode.load(Ordering::Relaxed) == AdmissionMode::On as u8
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::after_start(self.origin.elapsed())
    }

    /// Takes a place, or says how one is waited for.
    pub(super) fn enter(self: &Arc<Self>, class: Class) -> Entry {
        let place = if self.waiting.load(Ordering::Relaxed) == 0 {
            self.take()
        } else {
            None
        };
        let now = self.now();
        let place = match place {
            Some(place) => place,
            None if self.limits() => return Entry::Later(Later::in_line(Arc::clone(self), class)),
            None => {
                if self.is_rehearsed() {
                    self.tally.rehearsed(class);
                }
                self.take_beyond()
            }
        };
        let permit = Permit::new(place, now);
        if self.stands_back(now) {
            Entry::Later(Later::standing_back(permit, class))
        } else {
            Entry::Open(permit)
        }
    }

    /// Whether a request that has a place lets others go first, once.
    ///
    /// A handler that never waits is done before anybody else is looked at: what queues then are connections that are ready, where nobody counts
    /// them. Standing back until the worker has nothing else to do shows how long that takes; while it takes long, everybody
    /// does, so that what has come is counted before it is worked on.
    fn stands_back(&self, now: Timestamp) -> bool {
        thread_local!(static ENTERED: Cell<u32> = const { Cell::new(0) });
        let crowded = now.as_nanos() < self.crowded_until.load(Ordering::Relaxed);
        let entered = ENTERED.get().wrapping_add(1);
        ENTERED.set(entered);
        crowded || entered.is_multiple_of(SAMPLE)
    }

    /// A request has stood back for so long.
    pub(super) fn stood_back(&self, waited: Duration, now: Timestamp) {
        if waited > CROWDED {
            let until = now.after(CROWDED_FOR).as_nanos();
            self.crowded_until.store(until, Ordering::Relaxed);
        }
        self.stripes.mine().lagged(waited);
    }

    fn take(self: &Arc<Self>) -> Option<Place> {
        let limit = self.limit.load(Ordering::SeqCst);
        let more = |n: u32| (n < limit).then(|| n + 1);
        let before = self
            .in_flight
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        before.ok().map(|before| self.taken(before + 1))
    }

    /// A place over the limit, for whoever has begun.
    fn take_beyond(self: &Arc<Self>) -> Place {
        self.taken(self.in_flight.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// Counts a place again that was given back while nobody was at work in it.
    pub(super) fn count_again(&self) {
        self.note_peak(self.in_flight.fetch_add(1, Ordering::SeqCst) + 1);
    }

    fn taken(self: &Arc<Self>, in_flight: u32) -> Place {
        self.note_peak(in_flight);
        Place::of(Arc::clone(self))
    }

    fn note_peak(&self, in_flight: u32) {
        if in_flight > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(in_flight, Ordering::Relaxed);
        }
    }

    /// A place is given back. Only a [`Place`]'s drop does this.
    pub(super) fn give_back(self: &Arc<Self>) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.hand_on();
        }
    }

    /// Gives places that there are to those that wait.
    pub(super) fn hand_on(self: &Arc<Self>) {
        while !self.limits() && self.waiting.load(Ordering::SeqCst) > 0 {
            // There is no limit any more that they would wait for.
            let Some(next) = self.with_line(Line::next) else {
                break;
            };
            next.send(self.take_beyond()).ok();
        }
        while let Some(place) = self.take() {
            let Some(next) = self.with_line(Line::next) else {
                // Its drop looks again: somebody may have joined meanwhile.
                return;
            };
            // Whoever has gone gives it back by the drop of it.
            next.send(place).ok();
        }
    }

    /// Does something with the line; nobody is told anything while it is locked.
    pub(super) fn with_line<R>(
        &self,
        change: impl FnOnce(&mut Line<oneshot::Sender<Place>>, Timestamp) -> R,
    ) -> R {
        let now = self.now();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let done = change(&mut line, now);
        let waiting = u32::try_from(line.len()).unwrap_or(u32::MAX);
        self.waiting.store(waiting, Ordering::SeqCst);
        done
    }

    /// How many may wait.
    pub(super) fn longest_line(&self) -> usize {
        Line::<()>::longest(self.limit.load(Ordering::Relaxed))
    }

    pub(super) fn refused(&self, class: Class, why: Why) {
        self.tally.refused(class, why);
    }

    /// A request has come to the head of its answer.
    pub(super) fn answered(self: &Arc<Self>, begun: Timestamp, success: bool, now: Timestamp) {
        let epoch = Timestamp::from_nanos(self.epoch.load(Ordering::Relaxed));
        self.stripes.mine().ended(begun, epoch, success, now);
        let due = self.look_at.load(Ordering::Relaxed);
        if now.as_nanos() >= due {
            self.look(due, now);
        }
    }

    /// Asks the law, if nobody else does.
    fn look(self: &Arc<Self>, due: u64, now: Timestamp) {
        let next = now.after(LOOK_EVERY).as_nanos();
        let relaxed = Ordering::Relaxed;
        let mine = self.look_at.compare_exchange(due, next, relaxed, relaxed);
        if mine.is_err() {
            return;
        }
        let mut law = self.law();
        let Law {
            limit,
            recorder,
            random,
            verdict,
            lag,
        } = &mut *law;
        self.stripes.drain_into(recorder);
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        recorder.in_flight(self.peak.swap(in_flight, Ordering::Relaxed));
        if let Some(window) = recorder.close(in_flight, now) {
            *verdict = limit.on_window(&window, random, now);
            *lag = window.lag;
        } else if !limit.on_time(random, now) {
            return;
        }
        self.put_in_force(&law);
        drop(law);
        self.hand_on();
    }

    fn put_in_force(&self, law: &Law) {
        self.limit.store(law.limit.limit(), Ordering::SeqCst);
        let epoch = law.limit.epoch().as_nanos();
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    fn law(&self) -> MutexGuard<'_, Law> {
        self.law.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self) -> AdmissionReport {
        let (verdict, lag) = {
            let law = self.law();
            (law.verdict, law.lag)
        };
        AdmissionReport {
            mode: if !self.is_on() {
                AdmissionMode::Off
            } else if self.is_rehearsed() {
                AdmissionMode::DryRun
            } else {
                AdmissionMode::On
            },
            limit: self.limit.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            refused: self.tally.refusals(),
            dry_run: self.tally.rehearsals(),
            lag: lag.unwrap_or_default(),
            verdict: verdict.as_str(),
        }
    }
}
