//! [`Record`]: what is known by a source, and how it stands.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use wharf_control::Timestamp;
use wharf_pool::ListenerName;

use super::EmptySet;
use super::sift::Sifted;
use crate::setup::EndpointSetup;

/// How a source of endpoints stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DiscoveryState {
    /// It has found nothing so far: the endpoints of the configuration are asked.
    Waiting,
    /// What it has found is asked.
    Current,
    /// It cannot be asked, or what it says cannot be followed: what it found last is asked.
    Stale,
}

impl DiscoveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Current, Self::Stale];

    /// The word in the admin API and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Current => "current",
            Self::Stale => "stale",
        }
    }
}

/// A source of endpoints as it stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DiscoveryReport {
    /// Which: `etcd`, `file`, `dns`.
    pub source: &'static str,
    /// How it stands.
    pub state: DiscoveryState,
    /// How many endpoints the set has that is followed; none before the first.
    pub endpoints: usize,
    /// How many entries of the last set could not be asked.
    pub skipped: usize,
    /// The source's own number of that set, if it has one.
    pub revision: Option<u64>,
    /// How long the source says that the set is good for, if it does.
    pub ttl: Option<Duration>,
    /// How long ago the endpoints changed.
    pub changed: Option<Duration>,
    /// How long ago the source told a set, the same or another.
    pub heard: Option<Duration>,
    /// What is wrong at present: why it cannot be asked, or the first entry that was skipped.
    pub error: Option<Arc<str>>,
    /// How often the endpoints changed.
    pub changes: u64,
    /// How often it could not be asked, or told what could not be followed.
    pub failures: u64,
}

impl DiscoveryReport {
    pub(super) fn log(&self, upstream: &ListenerName) {
        let Self {
            source,
            state,
            endpoints,
            skipped,
            ..
        } = self;
        let state = state.as_str();
        if let Some(error) = &self.error {
            tracing::warn!(%upstream, source, state, endpoints, skipped, %error, "discovery");
        } else {
            tracing::info!(%upstream, source, state, endpoints, "discovery");
        }
    }
}

/// What is known by a source.
pub(crate) struct Record {
    source: &'static str,
    found: Option<Arc<[EndpointSetup]>>,
    state: DiscoveryState,
    skipped: usize,
    revision: Option<u64>,
    ttl: Option<Duration>,
    changed: Option<Timestamp>,
    heard: Option<Timestamp>,
    error: Option<Arc<str>>,
    changes: u64,
    failures: u64,
    /// The source ends with it.
    _over: DropGuard,
}

/// What of a set is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// The source stands otherwise, or something else is wrong.
    Standing,
    /// Other endpoints are asked.
    Endpoints,
}

impl Record {
    /// Nothing is heard of a source so far; what was found before is asked meanwhile.
    pub(super) fn new(
        source: &'static str,
        over: CancellationToken,
        before: Option<&Self>,
    ) -> Self {
        let found = before.and_then(Self::found);
        Self {
            source,
            state: if found.is_some() {
                DiscoveryState::Stale
            } else {
                DiscoveryState::Waiting
            },
            found,
            skipped: 0,
            revision: None,
            ttl: None,
            changed: before.and_then(|it| it.changed),
            heard: None,
            error: None,
            changes: before.map_or(0, |it| it.changes),
            failures: before.map_or(0, |it| it.failures),
            _over: over.drop_guard(),
        }
    }

    /// What was found, if anything was.
    pub(super) fn found(&self) -> Option<Arc<[EndpointSetup]>> {
        self.found.clone()
    }

    pub(super) fn take(&mut self, set: Sifted, empty: EmptySet, now: Timestamp) -> News {
        let before = (self.state, self.error.clone());
        let refused = set.endpoints.is_empty() && empty == EmptySet::Refuse;
        let same = self.found.as_ref().is_some_and(|it| **it == *set.endpoints);
        let endpoints = !refused && !same;
        self.heard = Some(now);
        self.skipped = set.skips.count();
        (self.revision, self.ttl) = (set.revision, set.ttl);
        self.error = set.skips.first();
        if refused {
            self.failures += 1;
            self.state = self.without();
            self.error.get_or_insert_with(|| EMPTY.into());
        } else {
            self.state = DiscoveryState::Current;
        }
        if endpoints {
            self.found = Some(set.endpoints.into());
            self.changed = Some(now);
            self.changes += 1;
        }
        match before != (self.state, self.error.clone()) {
            _ if endpoints => News::Endpoints,
            true => News::Standing,
            false => News::None,
        }
    }

    /// The source cannot be asked.
    pub(super) fn lose(&mut self, why: Arc<str>) -> News {
        self.failures += 1;
        let (state, error) = (self.without(), Some(why));
        let same = (self.state, &self.error) == (state, &error);
        (self.state, self.error) = (state, error);
        if same { News::None } else { News::Standing }
    }

    /// The state without a set that could be followed now.
    fn without(&self) -> DiscoveryState {
        if self.found.is_some() {
            DiscoveryState::Stale
        } else {
            DiscoveryState::Waiting
        }
    }

    pub(super) fn report(&self, now: Timestamp) -> DiscoveryReport {
        let ago = |at: Option<Timestamp>| at.map(|at| now.since(at));
        DiscoveryReport {
            source: self.source,
            state: self.state,
            endpoints: self.found.as_ref().map_or(0, |it| it.len()),
            skipped: self.skipped,
            revision: self.revision,
            ttl: self.ttl,
            changed: ago(self.changed),
            heard: ago(self.heard),
            error: self.error.clone(),
            changes: self.changes,
            failures: self.failures,
        }
    }
}

const EMPTY: &str = "there is no endpoint in it";
