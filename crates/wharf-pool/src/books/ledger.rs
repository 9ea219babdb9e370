//! [`Ledger`]: what one scope holds, against what it may hold.

use std::net::IpAddr;
use std::time::Duration;

use wharf_control::{Ramp, Timestamp, TokenBucket};

use super::flow::Flow;
use super::path::ScopeId;
use super::rehearsed::Rehearsed;
use super::tally::Tally;
use crate::config::{Count, DryRun, Limit, PerSecond};
use crate::source::SourceKey;
use crate::{Cidr, DryRunReason, RejectReason};

/// The limits of one scope: the process, a listener or a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopeLimits {
    /// How many connections it may hold; `None`: as many as the scopes around it.
    pub max_connections: Option<Count>,
    /// Of a pool: how many places of the process are its own, however full that is.
    pub guaranteed: Option<Count>,
    /// How many connections one source may hold in it.
    pub max_connections_per_ip: Option<Count>,
    /// How many connections a second may enter it, in bursts of at most one second's worth.
    pub accept_rate: Option<PerSecond>,
    /// Of the process: over which time after the start its `max_connections` grows to the full.
    pub accept_ramp: Option<Duration>,
    /// Ranges that the limit per source and the rate do not apply to.
    pub exempt: Vec<Cidr>,
    /// Which of the limits are only counted and told.
    pub dry_run: DryRun,
}

impl ScopeLimits {
    /// How many connections the scope may hold so long after the start; a limit on a dry run is none.
    pub(crate) fn in_force(&self, since_start: Duration) -> Option<u32> {
        let limit = self.max_connections?.get();
        if self.dry_run.has(Limit::MaxConnections) {
            return None;
        }
        let ramp = self.ramp().filter(|_| !self.dry_run.has(Limit::AcceptRamp));
        Some(ramp.map_or(limit, |ramp| ramp.of(limit, since_start)))
    }

    fn ramp(&self) -> Option<Ramp> {
        self.accept_ramp.map(Ramp::new)
    }
}

impl From<Count> for ScopeLimits {
    /// Only the number of connections is limited.
    fn from(max_connections: Count) -> Self {
        Self {
            max_connections: Some(max_connections),
            ..Self::default()
        }
    }
}

/// The counts of one scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occupancy {
    /// Connections that are open.
    pub active: u32,
    /// Slots given out for connections that are about to open or to move here.
    pub reserved: u32,
    /// Of the active ones, those of which it is not yet known what they speak.
    pub detecting: u32,
    /// What takes a connection's place without being one: it shares a connection that is elsewhere.
    pub berths: u32,
    /// Of the process: places that stay free for pools that hold fewer than they are guaranteed.
    pub kept: u32,
    /// The limit in force, if the scope has one; one on a dry run is not in force.
    pub limit: Option<u32>,
}

/// What a scope is, for the reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    Process,
    Listener,
    /// Of this listener.
    Pool(ScopeId),
}

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) kind: ScopeKind,
    pub(super) limits: ScopeLimits,
    bucket: Option<TokenBucket>,
    /// Of the process: how long it has served.
    pub(super) since_start: Duration,
    /// Kept only while sources have a share to keep to: a count for each source is a line of memory
    /// that is in no cache.
    tally: Option<Tally>,
    pub(super) active: u32,
    pub(super) reserved: u32,
    pub(super) detecting: u32,
    pub(super) berths: u32,
    /// Of a pool: of the reserved slots, those for moves.
    pub(super) moving: u32,
    /// Of a listener: connections and slots that may be on places kept for its pools. Of a pool: those
    /// of them that are in it.
    pub(super) undecided: u32,
    /// Of a listener: of those that it has in detection.
    pub(super) flow: Flow,
    /// What limits on a dry run would have done to those who came here, whosever limits they are.
    pub(super) rehearsed: Rehearsed,
}

impl Ledger {
    pub(super) fn new(kind: ScopeKind, limits: ScopeLimits, now: Timestamp) -> Self {
        let bucket = limits
            .accept_rate
            .map(|rate| TokenBucket::new(rate.get(), now));
        let tally = limits.max_connections_per_ip.map(|_| Tally::default());
        Self {
            kind,
            limits,
            bucket,
            since_start: Duration::ZERO,
            tally,
            active: 0,
            reserved: 0,
            detecting: 0,
            berths: 0,
            moving: 0,
            undecided: 0,
            flow: Flow::default(),
            rehearsed: Rehearsed::default(),
        }
    }

    /// Puts new limits in force. `charged` are the sources of the connections that it holds, one by
    /// one: if sources have a share from now on, they are counted here.
    pub(super) fn set_limits(
        &mut self,
        limits: ScopeLimits,
        charged: impl Iterator<Item = SourceKey>,
        now: Timestamp,
    ) {
        match (limits.accept_rate, &mut self.bucket) {
            (Some(rate), Some(bucket)) => bucket.set_rate(rate.get(), now),
            (Some(rate), bucket @ None) => *bucket = Some(TokenBucket::new(rate.get(), now)),
            (None, bucket) => *bucket = None,
        }
        match (limits.max_connections_per_ip, &mut self.tally) {
            (Some(_), Some(_)) => {}
            (Some(_), tally @ None) => *tally = Some(charged.collect()),
            (None, tally) => *tally = None,
        }
        self.limits = limits;
    }

    pub(super) fn occupancy(&self) -> Occupancy {
        let Self {
            active,
            reserved,
            detecting,
            berths,
            ref limits,
            ..
        } = *self;
        let limit = limits.in_force(self.since_start);
        Occupancy {
            active,
            reserved,
            detecting,
            berths,
            kept: 0,
            limit,
        }
    }

    /// The listener, if it is a pool's.
    pub(super) fn listener(&self) -> Option<ScopeId> {
        self.kind.listener()
    }

    /// How many it may hold now.
    pub(super) fn in_force(&self) -> Option<u32> {
        self.limits.in_force(self.since_start)
    }

    /// Whether the limit in force grows yet.
    pub(super) fn is_ramping(&self) -> bool {
        let ramp = self.limits.ramp();
        ramp.is_some_and(|ramp| !ramp.is_over(self.since_start))
            && !self.rehearses(Limit::AcceptRamp)
    }

    /// The places that are taken.
    pub(super) fn held(&self) -> u32 {
        self.active + self.reserved + self.berths
    }

    /// Connections and slots for newcomers that have a place in the process, and are here to stay.
    pub(super) fn settled(&self) -> u32 {
        self.active + self.reserved - self.moving - self.undecided
    }

    /// Whether one more would fit in.
    pub(super) fn room(&self) -> Result<(), RejectReason> {
        match self.in_force() {
            Some(limit) if self.held() >= limit => Err(match self.kind {
                ScopeKind::Process => RejectReason::ProcessLimit,
                ScopeKind::Listener => RejectReason::ListenerLimit,
                ScopeKind::Pool(_) => RejectReason::PoolLimit,
            }),
            _ => Ok(()),
        }
    }

    /// What a limit on a dry run has against the connection that has just come in, beyond what
    /// [`Ledger::take_token`] and the count of its source say.
    pub(super) fn objects(&self) -> Option<DryRunReason> {
        let limit = self.limits.max_connections?.get();
        let held = self.active + self.berths;
        let ramped = self
            .limits
            .ramp()
            .filter(|_| self.rehearses(Limit::AcceptRamp))
            .map(|ramp| ramp.of(limit, self.since_start));
        let over = held > limit && self.rehearses(Limit::MaxConnections)
            || ramped.is_some_and(|ramped| held > ramped);
        over.then_some(match self.kind {
            ScopeKind::Process => DryRunReason::ProcessLimit,
            ScopeKind::Listener => DryRunReason::ListenerLimit,
            ScopeKind::Pool(_) => DryRunReason::PoolLimit,
        })
    }

    /// Whether a limit is on a dry run here.
    pub(super) fn rehearses(&self, limit: Limit) -> bool {
        self.limits.dry_run.has(limit)
    }

    /// Whether the rate lets one in from `address`. Takes nothing.
    pub(super) fn has_token(&self, address: IpAddr, now: Timestamp) -> bool {
        self.bucket.is_none_or(|mut bucket| {
            bucket.try_take(now).is_ok()
                || self.rehearses(Limit::AcceptRate)
                || self.exempts(address)
        })
    }

    /// Takes a token for a newcomer from `address`; whether there was one, or none is needed. Whoever
    /// takes has looked, under the same lock: without a dry run there is one.
    pub(super) fn take_token(&mut self, address: IpAddr, now: Timestamp) -> bool {
        if self.bucket.is_some()
            && !self.exempts(address)
            && let Some(bucket) = &mut self.bucket
        {
            return bucket.try_take(now).is_ok();
        }
        true
    }

    /// Whether the source of `address` may hold one more.
    pub(super) fn shares(&self, source: SourceKey, address: IpAddr) -> bool {
        match (self.limits.max_connections_per_ip, &self.tally) {
            (Some(limit), Some(tally)) => {
                tally.held(source) < limit.get()
                    || self.rehearses(Limit::MaxConnectionsPerIp)
                    || self.exempts(address)
            }
            (None, _) | (_, None) => true,
        }
    }

    /// Counts one more of a source, if sources are counted; returns whether it is within its share.
    pub(super) fn charge(&mut self, source: SourceKey) -> bool {
        match (self.limits.max_connections_per_ip, &mut self.tally) {
            (Some(limit), Some(tally)) => tally.add(source) <= limit.get(),
            (None, _) | (_, None) => true,
        }
    }

    /// Counts one less of a source, if sources are counted.
    pub(super) fn forgive(&mut self, source: SourceKey) {
        if let Some(tally) = &mut self.tally {
            tally.remove(source);
        }
    }

    pub(super) fn exempts(&self, address: IpAddr) -> bool {
        self.limits
            .exempt
            .iter()
            .any(|range| range.contains(address))
    }
}
